//! Detects that the database or its write-ahead log was deleted or replaced while it is open.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::failure::NAME;
use crate::store::StoreError;

/// Device and inode of the database and its log.
///
/// The store always keeps a connection open, so that SQLite does not replace the log itself.
#[derive(Debug)]
pub(super) struct OpenFiles {
    database: (PathBuf, OnceLock<Identity>),
    log: (PathBuf, OnceLock<Identity>),
}

type Identity = (u64, u64);

impl OpenFiles {
    /// Reads the identity of the open database at `path`.
    pub(super) fn of(path: &Path) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let files = Self {
            database: (path.to_owned(), OnceLock::new()),
            log: (log.into(), OnceLock::new()),
        };
        for (path, identity) in [&files.database, &files.log] {
            if let Some(now) = identity_of(path) {
                identity.get_or_init(|| now);
            }
        }
        files
    }

    pub(super) fn path(&self) -> &Path {
        &self.database.0
    }

    /// Checks that the files are still the ones that were opened.
    ///
    /// # Errors
    /// If one was deleted or replaced. Anything written after that is lost when the last connection closes.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (path, identity) in [&self.database, &self.log] {
            let is_same = match (identity_of(path), identity.get()) {
                (Some(now), _) => *identity.get_or_init(|| now) == now,
                (None, before) => before.is_none(),
            };
            if !is_same {
                return Err(StoreError::misconfigured(
                    NAME,
                    format!(
                        "{} was deleted or replaced while this process had the database open, so nothing \
                         is saved: restart the process. Stop all processes before you move or restore a \
                         database",
                        path.display()
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn identity_of(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;

    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Other systems do not allow deleting an open file.
#[cfg(not(unix))]
fn identity_of(_: &Path) -> Option<Identity> {
    None
}
