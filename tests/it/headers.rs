//! What is put on a request, and where a request may go with it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{
    HeaderMap, HeaderValue, Request, Response, Uri,
    header::{AUTHORIZATION, LOCATION},
};
use notion_auth::{
    AuthError, BoxError, NotionAppCredentials, NotionAuthLayer, NotionAuthProvider, Subject,
    header::NOTION_VERSION, testing,
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::follow_redirect::FollowRedirectLayer;

use crate::support::{Body, auth_error, get};

type Seen = Arc<Mutex<Vec<(Uri, HeaderMap)>>>;

/// Notes what arrives, and answers 200.
fn recorder() -> (
    impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone,
    Seen,
) {
    let seen = Seen::default();
    let sink = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Body>| {
        let (head, _) = request.into_parts();
        sink.lock().unwrap().push((head.uri, head.headers));
        async { Ok(Response::new(Body::default())) }
    });
    (service, seen)
}

fn provider() -> NotionAuthProvider {
    testing::fixed_token("ntn_fixed", "https://api.notion.com").unwrap()
}

async fn headers_of(layer: NotionAuthLayer, request: Request<Body>) -> HeaderMap {
    let (service, seen) = recorder();
    layer.layer(service).oneshot(request).await.unwrap();
    let mut seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    seen.remove(0).1
}

#[tokio::test]
async fn both_headers_are_set_and_the_token_is_sensitive() {
    let layer = NotionAuthLayer::refreshing(provider());
    let headers = headers_of(layer, get("https://api.notion.com/v1/users/me")).await;
    assert_eq!(headers[AUTHORIZATION], "Bearer ntn_fixed");
    assert!(headers[AUTHORIZATION].is_sensitive());
    assert_eq!(
        headers[NOTION_VERSION],
        NotionAppCredentials::DEFAULT_VERSION
    );
}

#[tokio::test]
async fn an_authorization_of_the_callers_is_replaced_never_kept_beside() {
    let mut request = get("https://api.notion.com/");
    let headers = request.headers_mut();
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer one"));
    headers.append(AUTHORIZATION, HeaderValue::from_static("Basic two"));
    let headers = headers_of(NotionAuthLayer::refreshing(provider()), request).await;
    let values: Vec<_> = headers.get_all(AUTHORIZATION).iter().collect();
    assert_eq!(values, ["Bearer ntn_fixed"]);
}

#[tokio::test]
async fn a_version_of_the_callers_is_kept_unless_the_layer_overrides() {
    for crowd in [0, 30] {
        let request = || {
            let mut request = get("https://api.notion.com/");
            for header in 0..crowd {
                let name = format!("x-{header}");
                let name = http::HeaderName::try_from(name).unwrap();
                request.headers_mut().insert(name, header.into());
            }
            let version = HeaderValue::from_static("2022-06-28");
            request.headers_mut().insert(NOTION_VERSION, version);
            request
        };
        let layer = NotionAuthLayer::refreshing(provider());
        let kept = headers_of(layer.clone(), request()).await;
        assert_eq!(kept[NOTION_VERSION], "2022-06-28");
        let replaced = headers_of(layer.overriding_version(), request()).await;
        assert_eq!(replaced[NOTION_VERSION], "2026-03-11");
        assert_eq!(replaced.get_all(NOTION_VERSION).iter().count(), 1);
    }
}

#[tokio::test]
async fn the_apps_version_is_the_one_that_is_sent() {
    for version in ["2025-09-03", "2031-01-01"] {
        let app = NotionAppCredentials::builder()
            .token("ntn_1")
            .version(version);
        let provider = NotionAuthProvider::builder()
            .app(app.build().unwrap())
            .build()
            .unwrap();
        let layer = NotionAuthLayer::refreshing(provider);
        let headers = headers_of(layer, get("https://api.notion.com/")).await;
        assert_eq!(headers[NOTION_VERSION], version);
    }
}

#[tokio::test]
async fn a_request_to_another_place_is_an_error_and_is_not_sent() {
    for uri in [
        "https://evil.example/v1/users/me",
        "http://api.notion.com/v1/users/me",
        "https://api.notion.com:444/v1/users/me",
        "https://api.notion.com@evil.example/",
        "https://user@api.notion.com/",
        "//evil.example/v1/users/me",
        "*",
    ] {
        let (service, seen) = recorder();
        let layer = NotionAuthLayer::refreshing(provider());
        let request = get(uri);
        let error: BoxError = layer.layer(service).oneshot(request).await.unwrap_err();
        let error = auth_error(&error);
        assert!(error.is_destination(), "{uri}: {error}");
        assert_eq!(error.to_response().status(), 500);
        assert!(seen.lock().unwrap().is_empty(), "{uri} was sent");
    }
}

#[tokio::test]
async fn the_inner_service_may_decide_where_a_path_goes_and_nothing_else() {
    let layer = NotionAuthLayer::refreshing(provider()).inner_decides_destination();
    let headers = headers_of(layer.clone(), get("/v1/users/me")).await;
    assert_eq!(headers[AUTHORIZATION], "Bearer ntn_fixed");
    let (service, _) = recorder();
    let elsewhere = get("https://evil.example/");
    let error = layer.layer(service).oneshot(elsewhere).await.unwrap_err();
    assert!(auth_error(&error).is_destination());
}

#[tokio::test]
async fn a_redirect_takes_no_token_to_another_place() {
    let seen = Seen::default();
    let sink = Arc::clone(&seen);
    let redirecting = service_fn(move |request: Request<Body>| {
        let (head, _) = request.into_parts();
        sink.lock().unwrap().push((head.uri.clone(), head.headers));
        let target = match head.uri.path() {
            "/away" => "https://evil.example/",
            "/near" => "https://api.notion.com/v1/users/me",
            _ => "",
        };
        let mut response = Response::new(Body::default());
        if !target.is_empty() {
            *response.status_mut() = http::StatusCode::TEMPORARY_REDIRECT;
            let location = HeaderValue::from_static(target);
            response.headers_mut().insert(LOCATION, location);
        }
        async { Ok::<_, Infallible>(response) }
    });
    // The recommended order: redirects outside, credentials inside.
    let client = FollowRedirectLayer::new()
        .layer(NotionAuthLayer::refreshing(provider()).layer(redirecting));

    let near = get("https://api.notion.com/near");
    assert_eq!(client.clone().oneshot(near).await.unwrap().status(), 200);
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert!(seen.lock().unwrap()[1].1.contains_key(AUTHORIZATION));

    seen.lock().unwrap().clear();
    let away = get("https://api.notion.com/away");
    let error = client.oneshot(away).await.unwrap_err();
    assert!(AuthError::find(&*error).is_some_and(AuthError::is_destination));
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter()
            .all(|(uri, _)| uri.host() == Some("api.notion.com"))
    );
}

#[test]
fn an_api_url_that_is_neither_https_nor_local_is_refused() {
    for url in [
        "http://api.notion.com",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "https://user:password@api.notion.com",
        "https://api.notion.com/v1",
        "https://api.notion.com/?a",
        "ftp://127.0.0.1",
        "api.notion.com",
        "",
    ] {
        let error = testing::fixed_token("ntn_1", url).unwrap_err();
        let error = AuthError::find(&*error).expect("an AuthError");
        assert!(error.is_configuration(), "{url}");
        assert!(error.to_string().contains("api_url"), "{url}: {error}");
    }
    for url in [
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://[::1]:80",
        "https://notion.internal",
    ] {
        assert!(testing::fixed_token("ntn_1", url).is_ok(), "{url}");
    }
}

#[tokio::test]
async fn replays_carry_the_new_token_alone_and_the_whole_request() {
    let world = crate::support::World::new();
    let credentials = world.connect("ann").await;
    world
        .notion
        .revoke_access_token(credentials.access_token.expose());
    let seen: Arc<Mutex<Vec<(http::request::Parts, Body)>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let notion = world.notion.service();
    let spy = service_fn(move |request: Request<Body>| {
        let (head, body) = request.into_parts();
        sink.lock().unwrap().push((head.clone(), body.clone()));
        notion.clone().oneshot(Request::from_parts(head, body))
    });
    let client = NotionAuthLayer::refreshing(world.provider.clone()).layer(spy);
    let mut request = Request::post(format!("{}/v1/search", world.notion.base_url()))
        .header("content-type", "application/json")
        .header("x-trace", "7")
        .body(Body::from("{}"))
        .unwrap();
    request.extensions_mut().insert(Subject::new("ann"));
    request.extensions_mut().insert(7_u8);

    assert_eq!(client.oneshot(request).await.unwrap().status(), 200);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    let (first, second) = (&seen[0].0, &seen[1].0);
    assert_ne!(first.headers[AUTHORIZATION], second.headers[AUTHORIZATION]);
    for (head, _) in seen.iter() {
        assert_eq!(head.method, "POST");
        assert_eq!(head.headers["x-trace"], "7");
        assert_eq!(head.headers.get_all(AUTHORIZATION).iter().count(), 1);
        assert!(head.headers[AUTHORIZATION].is_sensitive());
        assert_eq!(head.extensions.get::<u8>(), Some(&7));
        assert_eq!(head.uri, first.uri);
    }
}
