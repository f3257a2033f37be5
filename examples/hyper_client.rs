//! A program that calls Notion for several users with hyper's own client.
//!
//! `cargo run --example hyper_client` needs no account, because it uses a mock Notion server on this machine.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use notion_auth::{AuthError, BoxError, NotionAuth, NotionAuthLayer, Subject, testing::MockNotion};
use tower::{Layer, ServiceExt};

type Notion = NotionAuth<Client<HttpConnector, Full<Bytes>>>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let notion = MockNotion::start().await?;
    // With the real Notion: `NotionAuthProvider::from_env()`.
    let provider = notion.provider_builder()?.build()?;
    for user in ["ann", "ben"] {
        let credentials = notion.connect();
        println!(
            "{user} connects {}",
            credentials.workspace_name.as_deref().unwrap_or("?")
        );
        provider
            .store_credentials(&user.into(), credentials)
            .await?;
    }

    // hyper's client, with the layer around it. For the real Notion it needs a TLS connector, such as that of
    // hyper-rustls. `notion_auth::https_client()` has one.
    let client = Client::builder(TokioExecutor::new()).build_http();
    let client: Notion = NotionAuthLayer::refreshing(provider.clone()).layer(client);

    println!("\nOne client for both. The subject of a request selects the credentials:");
    for user in ["ann", "ben"] {
        let (status, body) = get(&client, "/v1/users/me", user).await?;
        println!(
            "  {user}: {status}, the bot of {}",
            body["bot"]["workspace_name"]
        );
        assert_eq!(status, StatusCode::OK);
    }

    println!("\nAnn's access token ends without notice, as Notion's do:");
    let token = provider.acquire(&"ann".into()).await?;
    notion.revoke_access_token(token.expose());
    let (status, _) = get(&client, "/v1/users/me", "ann").await?;
    let refreshes = notion.ledger().refreshes().len();
    println!("  ann: {status}, after {refreshes} refresh");
    assert_eq!((status, refreshes), (StatusCode::OK, 1));

    println!("\nRequests that get no token:");
    let elsewhere = get(&client, "http://127.0.0.1:9/v1/users/me", "ann").await;
    println!("  another host: {}", refused(elsewhere)?);
    let not_connected = get(&client, "/v1/users/me", "eve").await;
    println!(
        "  a subject without a connection: {}",
        refused(not_connected)?
    );
    Ok(())
}

async fn get(
    client: &Notion,
    url: &str,
    user: &str,
) -> Result<(StatusCode, serde_json::Value), BoxError> {
    let request = Request::get(url)
        .extension(Subject::new(user))
        .body(Full::default())?;
    let response = client.clone().oneshot(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&body)?))
}

/// Returns the layer's error, which each request without a token ends with.
fn refused<T>(result: Result<T, BoxError>) -> Result<AuthError, BoxError> {
    match result {
        Ok(_) => Err("this request should have got no token".into()),
        Err(error) => AuthError::find(&*error).cloned().ok_or(error),
    }
}
