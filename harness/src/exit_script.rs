use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A shell script that runs when this value is dropped or this process ends, even if this process is killed.
///
/// A shell blocks on a pipe from this process, and runs the script when the pipe closes. The shell has its own process
/// group, so that signals to the group of this process do not reach the shell.
pub(crate) struct ExitScript(Child);

impl ExitScript {
    /// Schedules `script`, with `argument` as `$1`.
    pub(crate) fn new(script: &str, argument: impl AsRef<OsStr>) -> io::Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", &format!("read -r _; {script}"), "woosh-exit-script"])
            .arg(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self(shell))
    }

    /// Cancels the script.
    pub(crate) fn cancel(&mut self) {
        // Fails only if the shell has ended already.
        let _ = self.0.kill();
    }
}

impl Drop for ExitScript {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // The script is best effort: its status changes nothing.
        let _ = self.0.wait();
    }
}
