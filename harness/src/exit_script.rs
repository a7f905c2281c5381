use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A shell script that runs when this value is dropped or this process ends, even if this process is killed.
///
/// A shell reads from a pipe that this process keeps open for writing. The pipe closes when this process ends, and the
/// shell then runs the script. The shell has a process group of its own, so that signals to the process group of this
/// process do not end the shell.
pub(crate) struct ExitScript(Child);

impl ExitScript {
    /// Schedules `script` to run when this value is dropped or this process ends. `argument` is the parameter `$1` of
    /// the script.
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

    /// Cancels the script, so that it never runs.
    pub(crate) fn cancel(&mut self) {
        // Fails only if the shell has ended already.
        let _ = self.0.kill();
    }
}

impl Drop for ExitScript {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Ignores the exit status, because nothing can be done about a script that fails.
        let _ = self.0.wait();
    }
}
