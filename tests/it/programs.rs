//! The programs that README and the guides show: the same text as the examples, and run as processes.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use notion_auth::testing::MockNotion;

use crate::temporary::Directory;

/// The example of the guide's page on backends, with its own test.
#[cfg(feature = "postgres")]
#[path = "../../examples/site.rs"]
#[allow(dead_code, reason = "its `main` runs in a process")]
mod site;

/// Returns a command that runs a built example in this directory, without the environment of the tests.
fn example(name: &str, directory: &Directory) -> Command {
    let tests = env::current_exe().expect("the path of the tests");
    // Beside `deps`, which has the tests.
    let target = tests.ancestors().nth(2).expect("a target directory");
    let program = target
        .join("examples")
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    assert!(
        program.is_file(),
        "{} is not built. `cargo test` builds examples; with `--test it`, run `cargo build --examples` before",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", directory.path())
        .env("TMPDIR", directory.path())
        .current_dir(directory.path())
        .stdin(Stdio::null());
    command
}

async fn assert_script_prints_the_bot(name: &str) {
    let notion = MockNotion::start().await.expect("a socket");
    let directory = Directory::new();
    let mut script = example(name, &directory);
    script
        .env("NOTION_API_URL", notion.base_url())
        .env("NOTION_TOKEN", notion.integration_token());
    let output = tokio::task::spawn_blocking(move || script.output())
        .await
        .expect("a thread")
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    let me: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(me["object"], "user");
    assert_eq!(me["type"], "bot");
    assert_eq!(notion.ledger().api_calls().len(), 1);
}

#[tokio::test]
async fn script_prints_the_user_of_the_token() {
    assert_script_prints_the_bot("script").await;
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn script_with_reqwest_prints_the_user_of_the_token() {
    assert_script_prints_the_bot("script_reqwest").await;
}

/// Runs a program that fails, against a mock server and with this token. Returns what it prints, and its errors.
async fn failing(name: &str, token: Option<&str>) -> (String, String) {
    let notion = MockNotion::start().await.expect("a socket");
    let directory = Directory::new();
    let mut program = example(name, &directory);
    program.env("NOTION_API_URL", notion.base_url());
    program.envs(token.map(|token| ("NOTION_TOKEN", token)));
    let output = tokio::task::spawn_blocking(move || program.output())
        .await
        .expect("a thread")
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn script_with_a_wrong_token_prints_notions_error_and_fails() {
    let (output, errors) = failing("script", Some("ntn_wrong")).await;
    assert!(output.contains("API token is invalid."), "{output}");
    assert!(errors.contains("401 Unauthorized"), "{errors}");
}

#[tokio::test]
async fn script_without_a_token_names_the_variable() {
    let (_, errors) = failing("script", None).await;
    assert!(errors.contains("set NOTION_TOKEN"), "{errors}");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn backend_names_the_variable_that_is_not_set() {
    for name in ["backend", "site"] {
        let (_, errors) = failing(name, None).await;
        assert!(errors.contains("DATABASE_URL is not set"), "{errors}");
    }
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn script_with_reqwest_fails_with_a_wrong_token() {
    let (_, errors) = failing("script_reqwest", Some("ntn_wrong")).await;
    assert!(errors.contains("401"), "{errors}");
}

/// Asserts that the programs of a page are these files without their first comments.
fn assert_shows(page: &str, files: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(page)).expect("a page");
    let shown: Vec<&str> = text
        .split("```rust,no_run\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert_eq!(shown.len(), files.len(), "{page}");
    for (shown, file) in shown.into_iter().zip(files) {
        let text = fs::read_to_string(root.join(file)).expect("a program");
        let (_, program) = text.split_once("\n\n").expect("a comment before it");
        assert_eq!(shown, program, "{page}: copy {file}");
    }
}

#[test]
fn readme_and_guides_show_the_programs_word_for_word() {
    assert_shows("README.md", &["examples/script.rs", "examples/backend.rs"]);
    assert_shows("src/guide/script.md", &["examples/script.rs"]);
    assert_shows("src/guide/backend.md", &["examples/site.rs"]);
    assert_shows("src/guide/own_store.md", &["tests/it/guide/own_store.rs"]);
    assert_shows("src/guide/tests.md", &["tests/it/guide/rotation.rs"]);
}

#[cfg(feature = "postgres")]
mod backends {
    use http::{StatusCode, header};
    use reqwest::{Client, Response, redirect::Policy};
    use url::Url;

    use super::*;
    use crate::{process::Process, servers::postgres};

    /// A running backend, its mock server, and a browser's cookies.
    struct Backend {
        notion: MockNotion,
        process: Process,
        url: String,
        cookies: Vec<String>,
        browser: Client,
        _directory: Directory,
    }

    impl Backend {
        /// Starts the example. Returns `None` if PostgreSQL is not installed.
        async fn start(name: &'static str) -> Option<Self> {
            let server = postgres::shared()?;
            let database = server.url_of("postgres", &postgres::fresh_database(server));
            let notion = MockNotion::builder()
                .redirect_uri("http://127.0.0.1/notion/callback")
                .start()
                .await
                .expect("a socket");
            let directory = Directory::new();
            let mut command = example(name, &directory);
            command
                .env("NOTION_API_URL", notion.base_url())
                .env("NOTION_AUTHORIZATION_URL", notion.authorization_url())
                .env("NOTION_TOKEN_URL", notion.token_url())
                .env("NOTION_CLIENT_ID", notion.client_id())
                .env("NOTION_CLIENT_SECRET", notion.client_secret())
                .env("NOTION_REDIRECT_URI", notion.redirect_uri())
                .env(
                    "NOTION_AUTH_KEYS",
                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                )
                .env("DATABASE_URL", database)
                .env("LISTEN", "127.0.0.1:0");
            let (process, url) =
                tokio::task::spawn_blocking(move || Process::start(&mut command, "listening on "))
                    .await
                    .expect("the backend starts");
            let browser = Client::builder().no_proxy().redirect(Policy::none());
            Some(Self {
                notion,
                process,
                url,
                cookies: Vec::new(),
                browser: browser.build().expect("a client"),
                _directory: directory,
            })
        }

        async fn get(&mut self, path: &str) -> Response {
            let request = self.browser.get(format!("{}{path}", self.url));
            let request = request.header(header::COOKIE, self.cookies.join("; "));
            let response = request.send().await.expect("the backend answers");
            for cookie in response.headers().get_all(header::SET_COOKIE) {
                let cookie = cookie.to_str().expect("text");
                let pair = cookie.split(';').next().unwrap_or_default();
                self.cookies.push(pair.to_owned());
            }
            response
        }

        async fn page(&mut self, path: &str) -> String {
            let response = self.get(path).await;
            assert_eq!(response.status(), StatusCode::OK);
            response.text().await.expect("a page")
        }

        async fn status(&mut self, path: &str) -> StatusCode {
            self.get(path).await.status()
        }

        /// Connects as a browser does, which is then sent to `target`.
        async fn connect(&mut self, target: &str) {
            let authorize = self.get("/notion/authorize").await;
            let callback = self.notion.consent(&location(&authorize)).expect("consent");
            let callback = Url::parse(&callback).expect("a URL");
            let query = callback.query().expect("a code and a state");
            let completed = self.get(&format!("{}?{query}", callback.path())).await;
            assert_eq!(location(&completed), target);
        }

        /// Returns the access token that the backend used last.
        fn token(&self) -> String {
            let calls = self.notion.ledger().api_calls();
            let last = calls.last().and_then(|call| call.token.clone());
            last.expect("a call with a token")
        }

        /// Calls Notion before and after Notion revokes the access token in use.
        async fn call_across_a_rotation(&mut self) {
            assert_eq!(self.status("/me").await, StatusCode::OK);
            let refreshes = self.notion.ledger().refreshes().len();
            self.notion.revoke_access_token(&self.token());
            assert_eq!(self.status("/me").await, StatusCode::OK);
            assert_eq!(self.notion.ledger().refreshes().len(), refreshes + 1);
        }

        async fn assert_ends_at(mut self, signal: &str) {
            self.process.send(signal);
            let status = tokio::task::spawn_blocking(move || self.process.ended()).await;
            assert_eq!(status.expect("it ends").code(), Some(0));
        }
    }

    fn location(response: &Response) -> String {
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        let location = location.unwrap_or_else(|| panic!("no redirect: {status}"));
        location.to_str().expect("text").to_owned()
    }

    #[tokio::test]
    async fn backend_connects_a_customer_and_survives_a_rotation() {
        let Some(mut backend) = Backend::start("backend").await else {
            return;
        };
        assert_eq!(backend.status("/me").await, StatusCode::UNAUTHORIZED);
        backend.connect("/me?notion=connected").await;
        backend.call_across_a_rotation().await;
        backend.assert_ends_at("INT").await;
    }

    #[tokio::test]
    async fn site_serves_guests_and_customers() {
        let Some(mut site) = Backend::start("site").await else {
            return;
        };
        assert_eq!(site.status("/health").await, StatusCode::OK);
        assert!(site.page("/").await.contains("/sign-in"));
        assert_eq!(site.status("/me").await, StatusCode::UNAUTHORIZED);
        assert_eq!(
            site.status("/notion/authorize").await,
            StatusCode::UNAUTHORIZED
        );

        assert_eq!(site.status("/sign-in").await, StatusCode::OK);
        assert!(site.page("/").await.contains("/notion/authorize"));
        site.connect("/?notion=connected").await;
        assert_eq!(site.status("/me").await, StatusCode::OK);

        site.notion.revoke_grant(&site.token());
        assert_eq!(site.status("/me").await, StatusCode::UNAUTHORIZED);
        assert!(site.page("/").await.contains("Connect again"));
        site.connect("/?notion=connected").await;
        assert!(site.page("/").await.contains("/me"));
        site.call_across_a_rotation().await;
        site.assert_ends_at("TERM").await;
    }
}
