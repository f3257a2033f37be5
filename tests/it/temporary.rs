//! Directories that are removed when they are dropped.

use std::{
    env,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// An empty directory that only this user can read.
    pub(crate) fn new() -> Self {
        let name = format!("notion-auth-{:016x}", fastrand::u64(..));
        let path = env::temp_dir().join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.expect("a directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A new file in it.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
