use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use serde::Serialize;
use url::Url;
use zeroize::Zeroizing;

use super::error::OAuthError;
use crate::{credentials::ClientSecret, header::NOTION_VERSION, json::to_exact_vec};

/// The OAuth client that authenticates a request.
pub(super) struct Client<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a ClientSecret,
}

impl Client<'_> {
    /// Returns the value of an HTTP Basic `Authorization` header (RFC 7617).
    pub(super) fn basic(&self) -> Zeroizing<String> {
        let pair = Zeroizing::new([self.id, ":", self.secret.expose()].concat());
        let mut basic = Zeroizing::new(String::with_capacity(16 + pair.len() * 4 / 3));
        basic.push_str("Basic ");
        STANDARD.encode_string(pair.as_bytes(), &mut basic);
        basic
    }
}

/// Parameters of a request to an OAuth endpoint. Borrowed, because a `Value` would leave copies of them in freed memory.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Parameters<'a> {
    Exchange {
        grant_type: &'static str,
        code: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        redirect_uri: Option<&'a str>,
    },
    Refresh {
        grant_type: &'static str,
        refresh_token: &'a str,
    },
    Token {
        token: &'a str,
    },
}

/// Returns the URL with the last segment of its path replaced.
pub(super) fn sibling(url: &Url, name: &str) -> Url {
    let mut sibling = url.clone();
    sibling.set_query(None);
    if let Ok(mut segments) = sibling.path_segments_mut() {
        segments.pop_if_empty().pop().push(name);
    }
    sibling
}

/// Builds a request to an OAuth endpoint: a JSON body, HTTP Basic, and `Notion-Version`.
pub(super) fn request(
    url: &Url,
    parameters: &Parameters<'_>,
    basic: &str,
    version: &str,
) -> Result<Request<Full<Bytes>>, OAuthError> {
    const UNSENDABLE: &str =
        "the request to the OAuth endpoint cannot be encoded as HTTP: check the app credentials";
    let unsendable = |_| OAuthError::configuration(UNSENDABLE);
    let json = to_exact_vec(&[], parameters).map_err(|_| OAuthError::configuration(UNSENDABLE))?;
    let mut authorization =
        HeaderValue::from_str(basic).map_err(|_| OAuthError::configuration(UNSENDABLE))?;
    authorization.set_sensitive(true);
    Request::builder()
        .method(Method::POST)
        .uri(url.as_str())
        .header(AUTHORIZATION, authorization)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .header(ACCEPT_ENCODING, "identity")
        .header(NOTION_VERSION, version)
        .header(
            USER_AGENT,
            concat!("notion-auth/", env!("CARGO_PKG_VERSION")),
        )
        .body(Full::new(Bytes::from_owner(json)))
        .map_err(unsendable)
}
