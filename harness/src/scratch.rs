use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A temporary folder that goes with this value, and also where the process is killed before it can drop it.
///
/// A shell waits at the other end of a pipe: once nobody holds the near end any more, for whatever reason, it removes
/// the folder and exits. It has a process group of its own, so that what is meant for ours spares it.
pub(crate) struct Scratch {
    watcher: Child,
    folder: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("woosh-").tempdir()?;
        let watcher = Command::new("/bin/sh")
            .args(["-c", r#"read -r _; rm -rf -- "$1""#, "woosh-scratch"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { watcher, folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // Whether it could be waited for or not, the folder itself removes what is left.
        let _ = self.watcher.wait();
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
        scratch.watcher.kill().unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
