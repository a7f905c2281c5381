use std::io;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::exit_script::ExitScript;

/// A temporary folder. The folder is deleted when this value is dropped or this process ends, even if this process is
/// killed.
pub(crate) struct TempFolder {
    // Dropped before `dir`: its script deletes the folder. If the script fails, dropping `dir` deletes the folder.
    #[cfg_attr(not(test), expect(dead_code, reason = "its destructor deletes the folder"))]
    exit_script: ExitScript,
    dir: TempDir,
}

impl TempFolder {
    pub(crate) fn new() -> io::Result<Self> {
        Self::with_exit_script(r#"rm -rf -- "$1""#)
    }

    /// Creates a folder on which a file system is mounted. The shell script `mount` mounts it; the parameter `$1` of
    /// the script is the path of the folder. The script may create the file `$1.img`, which is deleted with the folder.
    ///
    /// # Errors
    ///
    /// If the script fails. The error is the first line of its output.
    pub(crate) fn mounted(mount: &str) -> io::Result<Self> {
        let folder = Self::with_exit_script(r#"umount -l -- "$1"; rm -rf -- "$1" "$1.img""#)?;
        folder.run(mount)?;
        Ok(folder)
    }

    /// Runs a shell script with the path of the folder as its parameter `$1`.
    ///
    /// # Errors
    ///
    /// If the script fails. The error is the first line of its output.
    pub(crate) fn run(&self, script: &str) -> io::Result<()> {
        let output = Command::new("/bin/sh").args(["-c", script, "sh"]).arg(self.path()).output()?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stderr, output.stdout].concat();
        let text = String::from_utf8_lossy(&text);
        Err(io::Error::other(text.trim().lines().next().unwrap_or("the script failed without a message").to_owned()))
    }

    fn with_exit_script(script: &str) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("woosh-").tempdir()?;
        let exit_script = ExitScript::new(script, dir.path()).inspect_err(|_| {
            // If no file handle is left, `TempDir` can't delete the folder, but `remove_dir` can.
            let _ = std::fs::remove_dir(dir.path());
        })?;
        Ok(Self { exit_script, dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_deleted_with_the_value() {
        let folder = TempFolder::new().unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "data").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_folder_is_deleted_without_its_exit_script() {
        let mut folder = TempFolder::new().unwrap();
        let path = folder.path().to_owned();
        folder.exit_script.cancel();
        drop(folder);
        assert!(!path.exists());
    }
}
