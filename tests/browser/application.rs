//! The example, as users run it.

use std::process::Command;

use crate::process::Process;

/// The example, which includes a mock Notion server.
pub(crate) struct Application {
    /// Without a trailing slash.
    pub(crate) url: String,
    _process: Process,
}

impl Application {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notion-auth-connect"));
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
