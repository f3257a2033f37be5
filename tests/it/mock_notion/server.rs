//! The mock server on a socket: connections and shutdown.

use notion_auth::testing::notion::MockNotion;
use tokio::task::yield_now;
use tower::ServiceExt;

use super::{connect, me_request, open, read, request};

#[tokio::test]
async fn server_stops_with_its_last_handle() {
    let notion = MockNotion::start().await.unwrap();
    let (url, service, second) = (notion.base_url(), notion.service(), notion.clone());
    let idle = connect(&url).await.unwrap();
    drop(notion);
    assert!(connect(&url).await.is_ok());
    drop(second);
    while connect(&url).await.is_ok() {
        yield_now().await;
    }
    idle.readable().await.unwrap();
    let end = idle.try_read(&mut [0]);
    assert!(!matches!(end, Ok(1..)), "open connections close as well");
    let answer = service.oneshot(request("GET", "/", &[], "")).await;
    assert_eq!(answer.unwrap().status(), 401);
}

#[tokio::test]
async fn connection_serves_several_calls() {
    let notion = MockNotion::start().await.unwrap();
    let grant = notion.grant();
    let (mut client, connection) = open(&notion).await;
    tokio::spawn(connection);
    for _ in 0..3 {
        client.ready().await.unwrap();
        let response = client.send_request(me_request(grant.access_token())).await;
        read(response.unwrap()).await.unwrap().ok();
    }
    assert_eq!(notion.ledger().api_calls().len(), 3);
}
