//! The example as a process.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::programs::{example, process::Process};

/// The example, which runs the mock of Notion.
pub(crate) struct Application {
    /// Without a slash at its end.
    pub(crate) url: String,
    _process: Process,
}

impl Application {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(program());
        command
            .env("CONNECT_LISTEN", "127.0.0.1:0")
            // Never the real Notion.
            .env_remove("NOTION_CLIENT_ID")
            .env_remove("NOTION_CLIENT_SECRET");
        let (process, url) = Process::start(&mut command, "Open ");
        Self {
            url,
            _process: process,
        }
    }
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| example::build("connect", &[]))
}
