//! The version of HTTP.

use http::Version;
use tower::ServiceExt as _;

use super::{
    Authority, assert_ok, request,
    server::{H1, H2},
    start, trusting,
};

#[tokio::test]
async fn client_with_http1_only_speaks_no_http_2() {
    let authority = Authority::new();
    for (is_only, version) in [(false, Version::HTTP_2), (true, Version::HTTP_11)] {
        let server = start(&authority, &[H2, H1]).await;
        let config = trusting(&authority);
        let config = if is_only { config.http1_only() } else { config };
        let request = request(&server.url(), "mine/1.0");
        assert_ok(config.client().oneshot(request).await);
        assert_eq!(server.seen()[0].version, version);
    }
}
