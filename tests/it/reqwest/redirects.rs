//! reqwest follows redirects below the middleware: what the module's docs say of it.

use http::header::AUTHORIZATION;
use notion_auth::testing::notion::{Call, Fault};
use reqwest::redirect::Policy;

use super::{World, ann, around, elsewhere::Elsewhere, http};

/// A request to the API, which redirects it to that path elsewhere.
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

/// If this fails, reqwest is better than the docs say.
#[tokio::test]
async fn with_reqwests_own_policy_the_second_hop_elsewhere_has_the_token() {
    let (world, elsewhere, status) = redirected(Policy::default(), "/again").await;
    assert_eq!(status.unwrap(), 200);
    let seen = elsewhere.seen();
    let paths: Vec<_> = seen.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/again", "/end"]);
    assert!(!seen[0].1.contains_key(AUTHORIZATION));
    let token = format!("Bearer {}", world.ann.access_token.expose());
    assert_eq!(seen[1].1[AUTHORIZATION], token);
}

/// If this fails, reqwest is better than the docs say.
#[tokio::test]
async fn with_reqwests_own_policy_a_401_from_elsewhere_passes_for_a_refusal() {
    let (world, _elsewhere, status) = redirected(Policy::default(), "/refusing").await;
    assert_eq!(status.unwrap(), 200);
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn without_redirects_nothing_goes_elsewhere() {
    for path in ["/again", "/refusing", "/end"] {
        let (world, elsewhere, status) = redirected(Policy::none(), path).await;
        assert_eq!(status.unwrap(), 307);
        assert!(elsewhere.seen().is_empty());
        assert_eq!(world.refreshes(), 0);
    }
}
