//! reqwest follows redirects below the middleware, as the module's docs describe.

use http::header::AUTHORIZATION;
use notion_auth::testing::notion::{Call, Fault};
use reqwest::redirect::Policy;

use super::{World, ann, around, elsewhere::Elsewhere, http};

/// Sends a request to the API, which redirects it to this path of another server.
async fn redirected(
    policy: Policy,
    path: &str,
) -> (World, Elsewhere, reqwest_middleware::Result<u16>) {
    let (world, elsewhere) = (World::new().await, Elsewhere::start().await);
    let away = Fault::Redirect(format!("{}{path}", elsewhere.url));
    world.notion.script(Call::Api, [away]);
    let client = around(http(policy), world.middleware());
    let response = world.me(&client).with_extension(ann()).send().await;
    let status = response.map(|response| response.status().as_u16());
    (world, elsewhere, status)
}

/// If this fails, reqwest has improved. Update the docs.
#[tokio::test]
async fn default_redirect_policy_sends_the_token_on_a_second_hop() {
    let (world, elsewhere, status) = redirected(Policy::default(), "/again").await;
    assert_eq!(status.unwrap(), 200);
    let seen = elsewhere.seen();
    let paths: Vec<_> = seen.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/again", "/end"]);
    assert!(!seen[0].1.contains_key(AUTHORIZATION));
    let token = format!("Bearer {}", world.ann.access_token.expose());
    assert_eq!(seen[1].1[AUTHORIZATION], token);
}

/// If this fails, reqwest has improved. Update the docs.
#[tokio::test]
async fn default_redirect_policy_treats_a_foreign_401_as_notions() {
    let (world, _elsewhere, status) = redirected(Policy::default(), "/refusing").await;
    assert_eq!(status.unwrap(), 200);
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn disabled_redirects_send_nothing_elsewhere() {
    for path in ["/again", "/refusing", "/end"] {
        let (world, elsewhere, status) = redirected(Policy::none(), path).await;
        assert_eq!(status.unwrap(), 307);
        assert!(elsewhere.seen().is_empty());
        assert_eq!(world.refreshes(), 0);
    }
}
