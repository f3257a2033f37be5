//! A script with an integration token: `NOTION_TOKEN=… cargo run --example script`.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use notion_auth::{BoxError, NotionAuthLayer, https_client};
use tower::{Layer, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let notion = NotionAuthLayer::from_env()?.layer(https_client()); // NOTION_TOKEN
    let request = Request::get("/v1/users/me").body(Empty::<Bytes>::new())?;
    let (head, body) = notion.oneshot(request).await?.into_parts();
    let body: serde_json::Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
    println!("{body:#}");
    match head.status {
        StatusCode::OK => Ok(()),
        status => Err(status.to_string().into()),
    }
}
