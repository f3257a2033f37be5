//! The script with reqwest: `NOTION_TOKEN=… cargo run --features reqwest --example script_reqwest`.
//!
//! In your own package:
//!
//! ```sh
//! cargo add notion-auth --features reqwest && cargo add reqwest --features json
//! cargo add reqwest-middleware serde_json && cargo add tokio --features full
//! ```

use notion_auth::{NotionAuthMiddleware, NotionAuthProvider};
use reqwest::redirect::Policy;
use reqwest_middleware::ClientBuilder;

#[tokio::main]
async fn main() -> Result<(), notion_auth::BoxError> {
    let notion = NotionAuthProvider::from_env()?; // NOTION_TOKEN
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .build()?;
    let client = ClientBuilder::new(http)
        .with(NotionAuthMiddleware::refreshing(notion.clone()))
        .build();
    let response = client.get(notion.url("/v1/users/me")).send().await?;
    let me: serde_json::Value = response.error_for_status()?.json().await?;
    println!("{me:#}");
    Ok(())
}
