//! A connection from the authorization to a refresh, with each step printed.
//!
//! `cargo run --example quickstart` needs no account, because it uses a mock Notion server on this machine. It checks
//! everything that it prints, and exits with 0 only if all of it was true.

use std::process::ExitCode;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use notion_auth::{
    BoxError, NotionAuthLayer, Subject, https_client,
    oauth::CallbackAnswer,
    testing::{
        MockNotion,
        notion::{Ledger, Outcome},
    },
};
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt};

const REQUESTS: usize = 50;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart failed: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let notion = MockNotion::start().await?;
    println!("1. A mock Notion server listens on {}.", notion.base_url());
    println!("   Nothing here leaves this machine.\n");

    // With the real Notion: `NotionAuthProvider::from_env()`.
    let provider = notion.provider_builder()?.build()?;

    let ann = Subject::new("ann");
    let authorization = provider.oauth().authorize(&ann)?;
    println!("2. Ann wants to connect her workspace. Her browser is sent to");
    println!("   {}\n", without_state(authorization.url.as_str()));

    let callback = notion.consent(authorization.url.as_str())?;
    println!("3. She allows it. Notion sends her browser back to");
    println!(
        "   {}?code=[REDACTED]&state=[REDACTED]\n",
        path_of(&callback)
    );

    let credentials = provider
        .oauth()
        .exchange(
            authorization.pending,
            &ann,
            CallbackAnswer::from_url(&callback)?,
        )
        .await?;
    let workspace = credentials.workspace_name.clone().unwrap_or_default();
    provider
        .store_credentials(&ann, credentials.clone())
        .await?;
    println!("4. The code was exchanged, once, and the credentials are stored for her:");
    println!("   {credentials:?}\n");

    // One service for all subjects; a session binds it to one.
    let client = ServiceBuilder::new()
        .layer(NotionAuthLayer::refreshing(provider.clone()))
        .service(https_client());
    let session = provider.session(ann.clone()).bind(client);
    let me = || Request::get("/v1/users/me").body(Empty::<Bytes>::new());

    let response = session.clone().oneshot(me()?).await?;
    let status = response.status();
    let body: Value = serde_json::from_slice(&response.collect().await?.to_bytes())?;
    println!("5. A request for her subject, without a token of its own, succeeds:");
    println!(
        "   GET /v1/users/me → {status}, the bot of {}\n",
        body["bot"]["workspace_name"]
    );
    check(status == StatusCode::OK, "the first request succeeds")?;
    check(
        body["bot"]["workspace_name"].as_str() == Some(&workspace),
        "it is answered for the workspace that was connected",
    )?;

    notion.revoke_access_token(credentials.access_token.expose());
    println!(
        "6. Her access token ends without notice, as Notion's do. {REQUESTS} requests at once:"
    );
    let requests = (0..REQUESTS).map(|_| Ok(tokio::spawn(session.clone().oneshot(me()?))));
    let requests = requests.collect::<Result<Vec<_>, http::Error>>()?;
    let mut succeeded = 0;
    for request in requests {
        succeeded += usize::from(request.await??.status() == StatusCode::OK);
    }
    let ledger = notion.ledger();
    let refreshes = ledger.refreshes();
    println!("   {succeeded} succeeded, {} refresh.\n", refreshes.len());
    check(succeeded == REQUESTS, "all requests succeed")?;
    check(refreshes.len() == 1, "they cause one refresh")?;
    check(
        refreshes
            .iter()
            .all(|refresh| refresh.outcome == Outcome::Accepted),
        "the refresh token is accepted",
    )?;
    check(
        provider.acquire(&ann).await?.generation() == 2,
        "the new pair is stored",
    )?;

    println!("7. What went over the wire (tokens by number):");
    print_wire(&ledger);
    println!("\nEverything above was checked. README.md has programs for the real Notion.");
    Ok(())
}

fn check(is_true: bool, what: &str) -> Result<(), BoxError> {
    if is_true {
        Ok(())
    } else {
        Err(format!("this check failed: {what}").into())
    }
}

/// Prints the calls that the server received. Equal calls in a row are counted.
fn print_wire(ledger: &Ledger) {
    let mut tokens: Vec<String> = Vec::new();
    let mut name = |token: &str| {
        let known = tokens.iter().position(|other| other == token);
        let index = known.unwrap_or_else(|| {
            tokens.push(token.to_owned());
            tokens.len() - 1
        });
        format!("token {}", index + 1)
    };
    let mut calls: Vec<(u64, String)> = Vec::new();
    for call in ledger.api_calls() {
        let token = call
            .token
            .as_deref()
            .map_or("no token".to_owned(), &mut name);
        let version = call.notion_version.as_deref().unwrap_or("none");
        let status = call.status.unwrap_or_default();
        let line = format!(
            "{} {}  Authorization: Bearer [{token}]  Notion-Version: {version}  → {status}",
            call.method, call.path
        );
        calls.push((call.seq, line));
    }
    for call in ledger.presentations() {
        use notion_auth::testing::notion::TokenKind;
        let what = match call.token_kind {
            TokenKind::Code => "authorization_code",
            TokenKind::Refresh => "refresh_token",
            _ => continue,
        };
        let line = format!("POST /v1/oauth/token  {what}  → {:?}", call.outcome);
        calls.push((call.seq, line));
    }
    calls.sort();
    let mut calls = calls.into_iter().map(|(_, line)| line).peekable();
    while let Some(line) = calls.next() {
        let mut count = 1;
        while calls.next_if_eq(&line).is_some() {
            count += 1;
        }
        println!("   {count:>3} × {line}");
    }
}

fn without_state(url: &str) -> String {
    let end = url.find("&state=").unwrap_or(url.len());
    format!("{}&state=[REDACTED]", &url[..end])
}

fn path_of(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}
