//! Notion's CDN refuses requests without a `User-Agent`.

use http::{Version, header::USER_AGENT};
use notion_auth::{https_client, testing::MockNotion};
use tower::ServiceExt as _;

use super::{
    Authority, ask, assert_ok, request,
    server::{H1, H2},
    start, trusting,
};
use crate::support::get;

const OWN: &str = concat!("notion-auth/", env!("CARGO_PKG_VERSION"));

#[tokio::test]
async fn request_without_user_agent_has_the_crates() {
    let authority = Authority::new();
    for (protocol, version) in [(H1, Version::HTTP_11), (H2, Version::HTTP_2)] {
        let server = start(&authority, &[protocol]).await;
        assert_ok(ask(&trusting(&authority), &server.url()).await);
        let seen = server.seen();
        assert_eq!(seen[0].version, version);
        assert_eq!(seen[0].headers[USER_AGENT], OWN);
    }
}

#[tokio::test]
async fn request_with_user_agent_keeps_it() {
    let authority = Authority::new();
    for protocol in [H1, H2] {
        let server = start(&authority, &[protocol]).await;
        let client = trusting(&authority).client();
        let response = client.oneshot(request(&server.url(), "mine/1.0")).await;
        assert_ok(response);
        let seen = server.seen();
        let sent: Vec<_> = seen[0].headers.get_all(USER_AGENT).iter().collect();
        assert_eq!(sent, ["mine/1.0"]);
    }
}

#[tokio::test]
async fn https_client_reaches_a_server_on_this_machine_by_plain_http() {
    let notion = MockNotion::start().await.expect("a socket");
    let client = https_client();
    let response = client.oneshot(get(&format!("{}/v1/users/me", notion.base_url())));
    assert_eq!(response.await.expect("a response").status(), 401);
}
