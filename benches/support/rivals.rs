//! What else one would put two headers on a request with.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, header::AUTHORIZATION};
use notion_auth::header::NOTION_VERSION;
use tower::{Layer, Service};
use tower_http::set_header::{SetRequestHeader, SetRequestHeaderLayer};

use super::inner::Inner;

type SetHeader<S> = SetRequestHeader<S, HeaderValue>;

/// Two stacked layers of tower-http, each of which overrides one header.
pub(crate) fn set_header_twice() -> SetHeader<SetHeader<Inner>> {
    let version = SetRequestHeaderLayer::overriding(NOTION_VERSION, version());
    with_token(version.layer(Inner))
}

/// The same, but a version that the request has stays.
pub(crate) fn set_header_if_absent() -> SetHeader<SetHeader<Inner>> {
    let version = SetRequestHeaderLayer::if_not_present(NOTION_VERSION, version());
    with_token(version.layer(Inner))
}

fn with_token<S>(inner: S) -> SetHeader<S> {
    let mut token = HeaderValue::from_static("Bearer ntn_0123456789");
    token.set_sensitive(true);
    SetRequestHeaderLayer::overriding(AUTHORIZATION, token).layer(inner)
}

/// The least that one can do: a token in memory that is counted, as a provider's is, and no look-up.
#[derive(Clone)]
pub(crate) struct RawInserts {
    token: HeaderValue,
    version: HeaderValue,
}

impl RawInserts {
    pub(crate) fn new() -> Self {
        let token = Bytes::from_owner(b"Bearer ntn_0123456789".to_vec());
        Self {
            token: HeaderValue::from_maybe_shared(token).expect("a header's value"),
            version: version(),
        }
    }
}

impl Service<Request<()>> for RawInserts {
    type Response = <Inner as Service<Request<()>>>::Response;
    type Error = <Inner as Service<Request<()>>>::Error;
    type Future = <Inner as Service<Request<()>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.token.clone());
        headers.insert(NOTION_VERSION, self.version.clone());
        Inner.call(request)
    }
}

fn version() -> HeaderValue {
    HeaderValue::from_static("2026-03-11")
}
