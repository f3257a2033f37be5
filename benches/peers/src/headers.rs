//! The floor and static headers, on the requests that `notion-auth` gets.

use http::{HeaderValue, Request, header::AUTHORIZATION};
use notion_auth::header::NOTION_VERSION;
use tower::{Layer as _, Service, ServiceBuilder};
use tower_http::set_header::SetRequestHeaderLayer;

use crate::support::{
    inner::{Inner, request, send},
    prepared::Prepared,
};

pub(crate) const FLOOR: &str = "bare service";
pub(crate) const ONE_STATIC: &str = "tower-http, one static header";
pub(crate) const TWO_STATIC: &str = "tower-http, two static headers";

pub(crate) const VERSION: &str = "2026-03-11";

/// What a peer puts on a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// The one header that it is made for.
    Token,
    /// What Notion wants: the version too, as a constant, the way that is next at hand. Its name is
    /// none of those that `http` knows, which makes it the dearer one of the two.
    TokenAndVersion,
}

impl Job {
    pub(crate) fn name(self, peer: &str) -> String {
        match self {
            Self::Token => peer.to_owned(),
            Self::TokenAndVersion => format!("{peer}, and a version"),
        }
    }

    pub(crate) fn has_version(self) -> bool {
        self == Self::TokenAndVersion
    }
}

/// A token of 64 characters, as everybody has.
pub(crate) fn token() -> String {
    format!("ntn_{}", "0123456789".repeat(6))
}

pub(crate) fn version() -> HeaderValue {
    HeaderValue::from_static(VERSION)
}

pub(crate) fn floor() -> Prepared {
    through(FLOOR, Inner)
}

/// What the peers set, but known beforehand.
pub(crate) fn one_static() -> Prepared {
    through(ONE_STATIC, authorization().layer(Inner))
}

pub(crate) fn two_static() -> Prepared {
    let service = ServiceBuilder::new()
        .layer(authorization())
        .layer(SetRequestHeaderLayer::overriding(NOTION_VERSION, version()))
        .service(Inner);
    through(TWO_STATIC, service)
}

fn authorization() -> SetRequestHeaderLayer<HeaderValue> {
    let mut value: HeaderValue = format!("Bearer {}", token()).parse().expect("a value");
    value.set_sensitive(true);
    SetRequestHeaderLayer::overriding(AUTHORIZATION, value)
}

/// Requests of one subject, sent by that service.
pub(crate) fn through<S>(name: &str, mut service: S) -> Prepared
where
    S: Service<Request<()>> + 'static,
{
    Prepared::new(
        name,
        || request(500),
        move |request| send(&mut service, request),
    )
}
