//! The example, as users run it.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

use crate::process::Process;

/// The example, with the stand-in for Notion in it.
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

/// The example's program. Cargo names none to a test, and has not built it if only this test is run.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // What Cargo tells this test about itself would make it build dependencies anew.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&*name);
            }
        }
        let output = command
            .args(["build", "--example", "connect"])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo starts");
        assert!(output.status.success(), "the example is not built");
        String::from_utf8(output.stdout)
            .expect("text")
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["target"]["name"] == "connect")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .expect("cargo says where the example is")
    })
}
