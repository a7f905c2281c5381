use std::io;
use std::path::Path;

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
        let dir = tempfile::Builder::new().prefix("woosh-").tempdir()?;
        let exit_script = ExitScript::new(r#"rm -rf -- "$1""#, dir.path()).inspect_err(|_| {
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
