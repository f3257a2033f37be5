//! Rule 1 with reqwest, whose client may add its own `Host`.

use http::{
    HeaderMap, HeaderValue, Version,
    header::{AUTHORIZATION, HOST},
};
use notion_auth::integrations::reqwest::NotionAuthMiddleware;
use reqwest::{ClientBuilder, Method, redirect::Policy};

use super::{ann, around, auth_error};
use crate::destination::{Recorder, hosts, provider};

fn speaking(version: Version) -> ClientBuilder {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none());
    if version == Version::HTTP_2 {
        client.http2_prior_knowledge()
    } else {
        client.http1_only()
    }
}

#[tokio::test]
async fn rule_01_host_header_of_another_site_gets_no_token_over_either_version() {
    let server = Recorder::start().await;
    let middleware = NotionAuthMiddleware::refreshing(provider(&server.url()).await);
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = speaking(version).build().unwrap();
        let client = around(client, middleware.clone());
        for (hosts, is_allowed) in hosts(&server.authority) {
            let mut headers = HeaderMap::new();
            for host in &hosts {
                headers.append(HOST, host.parse().unwrap());
            }
            let request = client.get(format!("{}/v1/users/me", server.url()));
            let request = request.headers(headers).with_extension(ann());
            let sent = request.send().await;
            let seen = server.take();
            let case = format!("{version:?} {hosts:?}: {sent:?} {seen:?}");
            if is_allowed {
                assert_eq!(sent.unwrap().status(), 200, "{case}");
                assert!(seen[0].headers.contains_key(AUTHORIZATION), "{case}");
                assert_eq!(seen[0].version, version, "{case}");
            } else {
                assert!(seen.is_empty(), "{case}");
                let error = sent.unwrap_err();
                assert!(auth_error(&error).is_destination(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn rule_01_host_among_the_clients_default_headers_is_not_sent() {
    let server = Recorder::start().await;
    let middleware = NotionAuthMiddleware::refreshing(provider(&server.url()).await);
    let mut defaults = HeaderMap::new();
    defaults.insert(HOST, HeaderValue::from_static("evil.example"));
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = speaking(version).default_headers(defaults.clone());
        let client = around(client.build().unwrap(), middleware.clone());
        let request = client.get(format!("{}/v1/users/me", server.url()));
        request.with_extension(ann()).send().await.unwrap();
        let seen = server.take().remove(0);
        assert_eq!(seen.version, version);
        assert!(seen.headers.contains_key(AUTHORIZATION), "{version:?}");
        let sent: Vec<_> = seen.headers.get_all(HOST).iter().collect();
        assert_eq!(sent, [&server.authority], "{version:?}");
        if version == Version::HTTP_2 {
            assert_eq!(seen.uri.authority().unwrap(), server.authority.as_str());
        }
    }
}

#[tokio::test]
async fn rule_01_connect_and_trace_get_no_token() {
    let server = Recorder::start().await;
    let middleware = NotionAuthMiddleware::refreshing(provider(&server.url()).await);
    let client = around(speaking(Version::HTTP_11).build().unwrap(), middleware);
    for method in [Method::CONNECT, Method::TRACE] {
        let request = client.request(method.clone(), server.url());
        let error = request.with_extension(ann()).send().await.unwrap_err();
        assert!(auth_error(&error).is_destination(), "{method}");
    }
    assert!(server.take().is_empty());
}
