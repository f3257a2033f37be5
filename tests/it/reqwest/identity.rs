//! Selection of a request's credentials.

use notion_auth::{
    AuthError, ExplicitCredentials, Mode, NotionAppCredentials, Subject, UseIntegrationToken,
    integrations::reqwest::NotionAuthMiddleware,
    testing::{MockNotion, TestClock},
};
use reqwest::redirect::Policy;
use reqwest_middleware::RequestBuilder;

use super::{World, ann, around, auth_error, connect, http};

/// Returns the token that the request was sent with.
async fn token(world: &World, request: RequestBuilder) -> String {
    assert_eq!(request.send().await.unwrap().status(), 200);
    let calls = world.notion.ledger().api_calls();
    calls.last().unwrap().token.clone().unwrap()
}

#[tokio::test]
async fn request_gets_the_token_of_the_subject_in_its_extensions() {
    let world = World::new().await;
    let ben = connect(&world.notion, &world.provider, "ben").await;
    let client = world.client();
    for (subject, credentials) in [("ann", &world.ann), ("ben", &ben), ("ann", &world.ann)] {
        let request = world.me(&client).with_extension(Subject::new(subject));
        let sent = token(&world, request).await;
        assert_eq!(sent, credentials.access_token.expose());
    }
}

#[tokio::test]
async fn client_for_one_subject_ignores_the_request_s_identity() {
    let world = World::new().await;
    let ben = connect(&world.notion, &world.provider, "ben").await;
    let client = around(http(Policy::none()), world.middleware().for_subject("ann"));
    let explicit = ExplicitCredentials::new(&ben.access_token).unwrap();
    for request in [
        world.me(&client),
        world.me(&client).with_extension(Subject::new("ben")),
        world.me(&client).with_extension(explicit),
        world.me(&client).with_extension(UseIntegrationToken::new()),
    ] {
        let sent = token(&world, request).await;
        assert_eq!(sent, world.ann.access_token.expose());
    }
}

#[tokio::test]
async fn request_without_a_known_subject_is_an_auth_error() {
    let world = World::new().await;
    let client = world.client();
    for request in [
        world.me(&client),
        world.me(&client).with_extension(Subject::new("nobody")),
    ] {
        let error = request.send().await.unwrap_err();
        assert!(auth_error(&error).is_not_connected(), "{error:?}");
        // The error is also reachable through the middleware's own error type.
        let reqwest_middleware::Error::Middleware(error) = error else {
            panic!("not the middleware's: {error:?}");
        };
        assert!(error.downcast_ref::<AuthError>().is_some());
    }
    assert!(world.notion.ledger().api_calls().is_empty());
}

#[tokio::test]
async fn explicit_credentials_have_precedence_over_stored_ones() {
    let notion = MockNotion::start().await.unwrap();
    let integration = notion.grant_for("integration").access_token().to_owned();
    let app = NotionAppCredentials::builder()
        .token_url(notion.token_url())
        .client_id(notion.client_id())
        .client_secret(notion.client_secret())
        .token(integration.clone())
        .build()
        .unwrap();
    let clock = TestClock::new();
    let builder = notion.provider_builder().unwrap().app(app);
    let provider = builder.clock(clock.clone()).build().unwrap();
    let ann_s = connect(&notion, &provider, "ann").await;
    let world = World {
        notion,
        clock,
        provider,
        ann: ann_s,
    };
    let client = world.client();
    let own = world.notion.connect();
    let explicit = ExplicitCredentials::new(&own.access_token).unwrap();

    let request = world.me(&client).with_extension(ann());
    let sent = token(&world, request.with_extension(explicit)).await;
    assert_eq!(sent, own.access_token.expose());
    let nobody = world.me(&client).with_extension(Subject::new("nobody"));
    for request in [world.me(&client), nobody] {
        let request = request.with_extension(UseIntegrationToken::new());
        assert_eq!(token(&world, request).await, integration);
    }
    let error = world.me(&client).send().await.unwrap_err();
    assert!(auth_error(&error).is_not_connected());
}

#[tokio::test]
async fn mode_of_the_request_has_precedence() {
    for (middleware, mode, status) in [
        (
            NotionAuthMiddleware::refreshing as fn(_) -> _,
            Mode::FailFast,
            401,
        ),
        (NotionAuthMiddleware::fail_fast, Mode::Refreshing, 200),
    ] {
        let world = World::new().await;
        let client = around(http(Policy::none()), middleware(world.provider.clone()));
        world.revoke();
        let request = world.me(&client).with_extension(ann());
        let response = request.with_extension(mode).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(world.refreshes(), usize::from(status == 200));
    }
}
