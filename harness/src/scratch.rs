use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::watcher::Watcher;

/// A temporary folder that goes with this value, and also where the process is killed before it can drop it.
pub(crate) struct Scratch {
    // Dropped first: it removes the folder. Where it can't, the folder itself does.
    _watcher: Watcher,
    folder: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("woosh-").tempdir()?;
        let watcher = Watcher::new(r#"rm -rf -- "$1""#, folder.path()).inspect_err(|_| {
            // Here, since it needs no file handle, of which there may be none left.
            let _ = std::fs::remove_dir(folder.path());
        })?;
        Ok(Self { _watcher: watcher, folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_goes_with_the_value() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        std::fs::write(path.join("file"), "data").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn the_folder_goes_without_its_watcher_too() {
        let mut scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        scratch._watcher.dismiss();
        drop(scratch);
        assert!(!path.exists());
    }
}
