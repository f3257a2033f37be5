//! The WebDriver and its browsers.

use std::{
    env, fs,
    io::Write as _,
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    process::Command,
};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, json};

use crate::process::Process;

/// A driver on a port of its own.
pub(crate) struct Driver {
    port: u16,
    browser: PathBuf,
    /// Directory that its browsers write to. They leave files behind.
    files: PathBuf,
    process: Process,
}

impl Driver {
    /// `None` if the driver or its browser is not installed.
    pub(crate) fn start() -> Option<Self> {
        let browser = installed("chromium")?;
        let mut command = Command::new(installed("chromedriver")?);
        let files = env::temp_dir().join(format!("connect-{:016x}", fastrand::u64(..)));
        fs::create_dir(&files).expect("a directory for the browsers");
        command.arg("--port=0").env("TMPDIR", &files);
        let announcement = "started successfully on port ";
        let (process, port) = Process::start(&mut command, announcement);
        Some(Self {
            port: port.trim_end_matches('.').parse().expect("a port"),
            browser,
            files,
            process,
        })
    }

    /// Starts a browser with a new profile.
    pub(crate) async fn browser(&self) -> Client {
        let options = json!({
            "binary": self.browser,
            // Chromium has no sandbox for root, and shared memory is small in containers.
            "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"],
        });
        ClientBuilder::new(HttpConnector::new())
            .capabilities(Map::from_iter([("goog:chromeOptions".to_owned(), options)]))
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .expect("a browser starts")
    }
}

impl Drop for Driver {
    /// Only the driver can end its browsers.
    fn drop(&mut self) {
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let asked = connection.and_then(|mut connection| {
            connection.write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n")
        });
        if asked.is_ok() {
            self.process.wait_for_the_end();
        }
        let _ = fs::remove_dir_all(&self.files);
    }
}

fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}
