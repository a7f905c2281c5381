use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use woosh_server::database::DatabaseUrl;

/// Size of the file system in MiB.
const SIZE: u64 = 160;

/// A small file system in memory. It is unmounted when this value is dropped.
pub(crate) struct Tmpfs(TempDir);

impl Tmpfs {
    pub(crate) fn mount() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("woosh-disk-").tempdir()?;
        let options = format!("size={SIZE}m,mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "woosh-test"]).arg(folder.path());
        let output = mount.output().context("can't run mount")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(Self(folder))
    }

    pub(crate) fn database(&self) -> DatabaseUrl {
        format!("sqlite:{}", self.0.path().join("woosh.db").display()).parse().unwrap()
    }

    /// Returns the free space in bytes.
    pub(crate) fn free(&self) -> u64 {
        let system = rustix::fs::statvfs(self.0.path()).unwrap();
        system.f_bavail * system.f_frsize
    }

    /// Takes up space until the returned file is deleted.
    pub(crate) fn occupy(&self, bytes: usize) -> PathBuf {
        let path = self.path().join("ballast");
        fs::write(&path, vec![0; bytes]).unwrap();
        path
    }

    /// Takes up all of the space that is left.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.path().join("rest")).unwrap();
        for size in [1 << 20, 4096, 1] {
            let zeros = vec![0; size];
            let error = loop {
                if let Err(error) = file.write_all(&zeros) {
                    break error;
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, in case that a file is still open.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}
