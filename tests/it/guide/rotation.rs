//! The test that the guide's page on tests shows.

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use notion_auth::{BoxError, NotionAuthLayer, Subject, https_client, testing::MockNotion};
use tower::{Layer, ServiceExt};

#[tokio::test]
async fn a_rotation_is_not_noticed() -> Result<(), BoxError> {
    let notion = MockNotion::start().await?; // an HTTP server on 127.0.0.1
    let provider = notion.provider_builder()?.build()?;
    let ann = notion.connect(); // as if a user had given consent
    provider
        .store_credentials(&"ann".into(), ann.clone())
        .await?;
    let client = NotionAuthLayer::refreshing(provider).layer(https_client());

    notion.revoke_access_token(ann.access_token.expose()); // Notion may do so at any time
    let request = Request::get("/v1/users/me").extension(Subject::new("ann"));
    let response = client.oneshot(request.body(Empty::<Bytes>::new())?).await?;
    assert_eq!(response.status(), 200);
    assert_eq!(notion.ledger().refreshes().len(), 1);
    Ok(())
}
