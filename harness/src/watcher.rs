use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// Does a last thing for this process, also where it is killed.
///
/// A shell waits at the other end of a pipe: once nobody holds the near end any more, for whatever reason, it runs its
/// script and exits. It has a process group of its own, so that what is meant for ours spares it.
pub(crate) struct Watcher(Child);

impl Watcher {
    /// Runs `script` with `argument` as `$1` once this value or its process is gone.
    pub(crate) fn new(script: &str, argument: impl AsRef<OsStr>) -> io::Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", &format!("read -r _; {script}"), "woosh-watcher"])
            .arg(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self(shell))
    }

    /// Calls it off: the script is not run.
    pub(crate) fn dismiss(&mut self) {
        // Where it is gone already, nothing is left to be called off.
        let _ = self.0.kill();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // What it did not get to do is for its owner to see.
        let _ = self.0.wait();
    }
}
