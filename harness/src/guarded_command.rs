use std::io;
use std::process::ExitStatus;

use tokio::process::{Child, Command};

use crate::exit_script::ExitScript;
use crate::temp_folder::TempFolder;

/// Executes the command once its folder holds a file named `start`, and exits if the folder is gone.
const WAIT_AND_EXECUTE: &str = r#"
until [ -e "$0/start" ]; do [ -d "$0" ] || exit; sleep 0.01; done
exec "$@"
"#;

/// A command that gets SIGTERM when this process ends, even if this process is killed.
///
/// A shell executes the command only after the script that terminates it waits, so that there is no moment at which
/// this process can be killed and the command keeps running. If this process is killed before, the shell exits, because
/// its folder disappears.
pub(crate) struct GuardedCommand {
    child: Child,
    exit_script: ExitScript,
    _folder: TempFolder,
}

impl GuardedCommand {
    /// Starts `command`, a program and its arguments, with an environment variable. If the program can't be executed,
    /// the command ends with status 127 or 126 and a message on standard error, as in a shell.
    pub(crate) fn start(command: &[String], variable: (&str, &str)) -> io::Result<Self> {
        let folder = TempFolder::new()?;
        let child = Command::new("/bin/sh")
            .args(["-c", WAIT_AND_EXECUTE])
            .arg(folder.path())
            .args(command)
            .env(variable.0, variable.1)
            .spawn()?;
        let id = child.id().ok_or_else(|| io::Error::other("the command has no process id"))?;
        let exit_script = ExitScript::new(r#"kill -TERM "$1""#, id.to_string())?;
        std::fs::write(folder.path().join("start"), "")?;
        Ok(Self { child, exit_script, _folder: folder })
    }

    /// The process id, until the command has ended.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the command has ended, and returns its status.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.exit_script.cancel();
        Ok(status)
    }
}
