//! The headers that are added, and the destinations that a request may have.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use notion_auth::{NotionAppCredentials, Subject, header::NOTION_VERSION};
use reqwest::{Method, Request, redirect::Policy};

use super::{Spy, World, ann, around, auth_error, elsewhere::Elsewhere};

#[tokio::test]
async fn both_headers_are_set_and_the_token_is_sensitive() {
    let (world, spy) = (World::new().await, Spy::default());
    let client = spy.behind(world.middleware());
    let response = world.me(&client).with_extension(ann()).send().await;
    assert_eq!(response.unwrap().status(), 200);

    let call = &world.notion.ledger().api_calls()[0];
    assert_eq!(call.token.as_deref(), Some(world.ann.access_token.expose()));
    let version = call.notion_version.as_deref();
    assert_eq!(version, Some(NotionAppCredentials::DEFAULT_VERSION));
    assert!(spy.0.lock().unwrap()[0].0[AUTHORIZATION].is_sensitive());
}

#[tokio::test]
async fn authorization_of_the_caller_is_replaced() {
    let world = World::new().await;
    let mut defaults = HeaderMap::new();
    defaults.insert(AUTHORIZATION, HeaderValue::from_static("Bearer three"));
    let http = reqwest::Client::builder().default_headers(defaults);
    let http = http.no_proxy().redirect(Policy::none()).build().unwrap();
    let client = around(http, world.middleware());
    let request = world.me(&client).with_extension(ann());
    let request = request
        .bearer_auth("one")
        .header(AUTHORIZATION, "Basic two");
    assert_eq!(request.send().await.unwrap().status(), 200);

    let call = &world.notion.ledger().api_calls()[0];
    assert_eq!(call.authorization_values, 1);
    assert_eq!(call.token.as_deref(), Some(world.ann.access_token.expose()));
}

#[tokio::test]
async fn version_of_the_request_is_kept_unless_overridden() {
    let (world, spy) = (World::new().await, Spy::default());
    let keeping = spy.behind(world.middleware());
    let overriding = spy.behind(world.middleware().overriding_version());
    for (client, expected) in [(keeping, "2022-06-28"), (overriding, "2026-03-11")] {
        let request = world.me(&client).with_extension(ann());
        let request = request.header(NOTION_VERSION, "2022-06-28");
        request.send().await.unwrap();
        let seen = spy.0.lock().unwrap().pop().unwrap().0;
        let versions: Vec<_> = seen.get_all(NOTION_VERSION).iter().collect();
        assert_eq!(versions, [expected]);
    }
}

#[tokio::test]
async fn version_among_the_default_headers_is_not_sent() {
    let world = World::new().await;
    let mut defaults = HeaderMap::new();
    defaults.insert(NOTION_VERSION, HeaderValue::from_static("2022-06-28"));
    let http = reqwest::Client::builder().default_headers(defaults);
    let http = http.no_proxy().redirect(Policy::none()).build().unwrap();
    let client = around(http, world.middleware());
    let request = world.me(&client).with_extension(ann());
    request.send().await.unwrap();
    let call = &world.notion.ledger().api_calls()[0];
    assert_eq!(call.notion_version.as_deref(), Some("2026-03-11"));
}

#[tokio::test]
async fn request_to_another_origin_is_an_error_and_is_not_sent() {
    let (world, elsewhere) = (World::new().await, Elsewhere::start().await);
    let client = world.client();
    for subject in [ann(), Subject::new("nobody")] {
        let request = client.get(&elsewhere.url).with_extension(subject);
        let error = request.send().await.unwrap_err();
        // The destination is checked before the credentials are chosen.
        assert!(auth_error(&error).is_destination(), "{error:?}");
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn user_name_in_the_url_is_not_sent() {
    let world = World::new().await;
    let client = around(
        super::http(Policy::none()),
        world.middleware().for_subject("ann"),
    );
    let url = world.notion.base_url().replace("://", "://user@");
    let request = Request::new(Method::GET, url.parse().unwrap());
    let error = client.execute(request).await.unwrap_err();
    assert!(auth_error(&error).is_destination(), "{error:?}");
    assert!(world.notion.ledger().api_calls().is_empty());
}
