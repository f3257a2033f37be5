use std::{path::Path, process::Command};

use crate::temporary::Directory;

/// A small file system that fills up, which only root can mount.
pub(super) struct SmallDisk(Directory);

impl SmallDisk {
    /// Prints a message and returns `None` if this is not root.
    pub(super) fn mount(size: &str) -> Option<Self> {
        let directory = Directory::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(directory.path())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: only root can mount a small disk");
            return None;
        }
        Some(Self(directory))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    #[cfg(feature = "sqlite")]
    pub(super) fn make_read_only(&self) {
        let mounted = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.path())
            .status();
        assert!(mounted.is_ok_and(|status| status.success()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}
