//! The program, built and started.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use http::StatusCode;
use notion_auth::testing::MockNotion;
use tempfile::TempDir;

use super::ask::{self, Sending};
use crate::{process::Process, servers::port};

pub(super) const ANN: &str = "ann-has-this-key-0123456789";
pub(super) const BOB: &str = "bob-has-this-key-0123456789";
pub(super) const CLEO: &str = "cleo-has-this-key-0123456789";

/// What a shared store asks for.
pub(super) const KEYS: (&str, &str) = (
    "NOTION_AUTH_KEYS",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
);

/// More than it waits for a store that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The key that connects for the owner of that key.
pub(super) fn connecting(key: &str) -> String {
    format!("{key}-connects")
}

/// A gateway with keys of Ann, Bob and Cleo, and the Notion behind it.
pub(super) struct Gateway {
    /// Without a slash at its end.
    pub(super) url: String,
    pub(super) notion: MockNotion,
    pub(super) directory: TempDir,
    pub(super) process: Process,
    settings: Vec<(String, String)>,
}

impl Gateway {
    /// With SQLite in a directory of its own.
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(super) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let port = port::free();
        Self::start_on(port, port, "/connect/callback", settings).await
    }

    /// With a public URL that has this path, and a redirect URI of another path than the default.
    pub(super) async fn start_at(path: &str, callback: Option<&str>) -> Self {
        let port = port::free();
        let url = format!("http://127.0.0.1:{port}");
        let public_url = format!("{url}{path}/");
        let mut settings = vec![("GATEWAY_PUBLIC_URL", public_url.as_str())];
        let redirect_uri = callback.map(|callback| format!("{url}{callback}"));
        settings.extend(
            redirect_uri
                .as_deref()
                .map(|it| ("NOTION_REDIRECT_URI", it)),
        );
        let default = format!("{path}/connect/callback");
        Self::start_on(port, port, callback.unwrap_or(&default), &settings).await
    }

    /// Listens on `port`, behind a proxy on `public_port`.
    pub(super) async fn start_behind(
        public_port: u16,
        port: u16,
        settings: &[(&str, &str)],
    ) -> Self {
        let public_url = format!("http://127.0.0.1:{public_port}");
        let mut all = vec![("GATEWAY_PUBLIC_URL", public_url.as_str())];
        all.extend(settings);
        Self::start_on(public_port, port, "/connect/callback", &all).await
    }

    async fn start_on(
        public_port: u16,
        port: u16,
        callback: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let url = format!("http://127.0.0.1:{public_port}");
        let notion = MockNotion::builder()
            .redirect_uri(format!("{url}{callback}"))
            .start()
            .await
            .expect("a socket");
        let directory = tempfile::tempdir().expect("a directory");
        let own = [
            ("GATEWAY_LISTEN", format!("127.0.0.1:{port}")),
            (
                "GATEWAY_KEYS",
                format!(
                    "{ANN}=ann, {BOB}=bob, {CLEO}=cleo,{}=ann:connect,{}=bob:connect,{}=cleo:connect,",
                    connecting(ANN),
                    connecting(BOB),
                    connecting(CLEO)
                ),
            ),
            ("NOTION_API_URL", notion.base_url()),
            ("NOTION_CLIENT_ID", notion.client_id().to_owned()),
            ("NOTION_CLIENT_SECRET", notion.client_secret().to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let settings: Vec<_> = own.into_iter().chain(owned(settings)).collect();
        Self {
            process: start(directory.path(), &settings),
            url,
            notion,
            directory,
            settings,
        }
    }

    /// Starts the program once more, on `port`.
    pub(super) fn start_replica(&self, port: u16) -> Process {
        let mut settings = self.settings.clone();
        settings.push(("GATEWAY_LISTEN".to_owned(), format!("127.0.0.1:{port}")));
        start(self.directory.path(), &settings)
    }

    /// Ends the program as who maintains it does, if it has not ended, and starts it again where it was,
    /// with these settings instead of what it had by those names.
    pub(super) fn restart_with(&mut self, settings: &[(&str, &str)]) {
        if self.process.is_running() {
            self.process.terminate();
            assert!(self.process.ended().success());
        }
        self.settings.extend(owned(settings));
        self.process = start(self.directory.path(), &self.settings);
    }

    /// Connects a workspace for the owner of that key, as a script would.
    pub(super) async fn connect(&self, key: &str) {
        let key = &connecting(key);
        let begun = ask::get(&format!("{}/connect/authorize", self.url))
            .bearer(key)
            .send()
            .await;
        let consented = self
            .notion
            .consent(begun.header("location"))
            .expect("consent");
        let ended = ask::get(&consented)
            .bearer(key)
            .header("cookie", begun.cookie())
            .send()
            .await;
        assert!(
            ended.header("location").contains("notion=connected"),
            "{ended:?}"
        );
    }

    /// Ends the connection of the owner of that key.
    pub(super) async fn disconnect(&self, key: &str) {
        let url = format!("{}/connect/disconnect", self.url);
        let ended = ask::post(&url).bearer(&connecting(key)).send().await;
        assert_eq!(ended.status, StatusCode::OK, "{ended:?}");
    }

    /// `GET /v1/users/me` with that key.
    pub(super) fn me(&self, key: &str) -> Sending {
        ask::get(&format!("{}/v1/users/me", self.url)).bearer(key)
    }

    /// The bot that Notion takes who has that key for.
    pub(super) async fn bot(&self, key: &str) -> String {
        let answer = self.me(key).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Notion no longer takes the access token that the last call had.
    pub(super) fn revoke_the_last_token(&self) {
        let call = self.notion.ledger().api_calls().pop().expect("a call");
        self.notion
            .revoke_access_token(&call.token.expect("a token"));
    }

    /// Runs a command with the gateway's settings. What it said, and whether it succeeded.
    pub(super) fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = command(self.directory.path());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let output = ended(command.args(arguments));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

fn owned(settings: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

/// Of two settings of one name the later one counts.
fn start(directory: &Path, settings: &[(String, String)]) -> Process {
    let mut command = command(directory);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    Process::start(&mut command, "Listening on ").0
}

/// The program with nothing set, which is to end by itself.
pub(super) fn refused(settings: &[(&str, &str)]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    ended(
        command(directory.path())
            .env("GATEWAY_LISTEN", format!("127.0.0.1:{}", port::free()))
            .envs(settings.iter().copied()),
    )
}

/// What it said, which is little, and how it ended by itself.
#[track_caller]
pub(super) fn ended(command: &mut Command) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let end = Instant::now() + PATIENCE;
    while child.try_wait().expect("its state").is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            panic!("it runs: {:?}", child.wait_with_output());
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().expect("its output")
}

pub(super) fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notion-auth-gateway"));
    command.env_clear().current_dir(directory);
    command
}
