use std::io;
use std::process::ExitStatus;

use tokio::process::{Child, Command};

use crate::exit_script::ExitScript;
use crate::temp_folder::TempFolder;

/// The shell script that waits until the folder `$0` contains a file named `start`, then executes the command. The
/// script exits if the folder is deleted first.
const WAIT_AND_EXECUTE: &str = r#"
until [ -e "$0/start" ]; do [ -d "$0" ] || exit; sleep 0.01; done
exec "$@"
"#;

/// A command that receives SIGTERM when this process ends, even if this process is killed.
///
/// The command starts in two steps, so that it never outlives this process. First, a shell waits for a file in a
/// temporary folder. Then this process schedules an [`ExitScript`] that terminates the shell, and creates the file. The
/// shell then executes the command in its own process, so that the script terminates the command. If this process is
/// killed before it creates the file, the folder is deleted, and the shell exits.
pub(crate) struct GuardedCommand {
    child: Child,
    exit_script: ExitScript,
    _folder: TempFolder,
}

impl GuardedCommand {
    /// Starts `command`, a program and its arguments. `variable` is the name and the value of an environment variable
    /// for the command. If the program can't be executed, the command ends with status 127 or 126 and a message on
    /// standard error, as in a shell.
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

    /// Returns the process id of the command. Returns `None` after the command has ended.
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
