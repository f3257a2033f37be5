//! One request's way to Notion and back.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        Method, StatusCode, Uri,
        uri::{Authority, PathAndQuery, Scheme},
    },
    response::{IntoResponse as _, Response},
};
use notion_auth::{
    AuthError, BoxError, HttpsClient, HttpsConfig, HttpsError, NotionAuth, NotionAuthLayer,
    NotionAuthProvider,
};
use percent_encoding::percent_decode_str;
use tower::{Layer as _, ServiceExt as _};
use url::Url;

use crate::{
    envelope,
    headers::{clean_request, clean_response},
    keys::{GatewayKeys, Rights, SUBJECT_HEADER},
    outgoing::Outgoing,
};

type Copy = fn(&Outgoing) -> Option<Outgoing>;

/// What every request needs.
#[derive(Clone)]
pub(crate) struct Forward {
    keys: Arc<GatewayKeys>,
    scheme: Scheme,
    authority: Authority,
    client: NotionAuth<HttpsClient<Outgoing>, Copy>,
}

impl Forward {
    pub(crate) fn new(
        provider: NotionAuthProvider,
        keys: Arc<GatewayKeys>,
        api_url: &Url,
        https: &HttpsConfig,
    ) -> Result<Self, BoxError> {
        let origin = api_url.as_str().parse::<Uri>()?.into_parts();
        Ok(Self {
            keys,
            scheme: origin.scheme.ok_or("the API's URL has no scheme")?,
            authority: origin.authority.ok_or("the API's URL has no host")?,
            client: NotionAuthLayer::refreshing(provider)
                .replaying(Outgoing::copy as Copy)
                .layer(https.client()),
        })
    }
}

/// `/v1/*`: the caller's key becomes its subject's token.
pub(crate) async fn forward(State(state): State<Forward>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let checked = state
        .keys
        .check(&head.headers, Rights::CALL, head.uri.path());
    let caller = match checked {
        Ok(caller) => caller,
        Err(refused) => return state.keys.refuse(refused).await,
    };
    head.headers.remove(SUBJECT_HEADER);
    // An answer to TRACE would show the token, and CONNECT asks for no path.
    if [Method::TRACE, Method::CONNECT].contains(&head.method) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if let Err(refusal) = check_path(head.uri.path()) {
        return *refusal;
    }
    let path = head.uri.path_and_query().cloned();
    let uri = Uri::builder()
        .scheme(state.scheme.clone())
        .authority(state.authority.clone())
        .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build();
    let body = Outgoing::read(&head.headers, body).await;
    let (Ok(uri), Ok(body)) = (uri, body) else {
        return envelope::error(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "the request could not be read to its end",
        );
    };
    // A new one, whose version and extensions are not those of the caller's connection.
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = head.headers;
    clean_request(request.headers_mut());
    request.extensions_mut().insert(caller.subject.clone());
    let mut response = match state.client.oneshot(request).await {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            clean_response(&mut head.headers);
            Response::from_parts(head, Body::new(body))
        }
        Err(error) => failed(&error),
    };
    response.extensions_mut().insert(caller);
    response
}

fn failed(error: &BoxError) -> Response {
    if let Some(error) = AuthError::find(error.as_ref()) {
        if error.status().is_server_error() {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "a request has no credentials");
        }
        return error.to_response().into_response();
    }
    tracing::warn!(error, "a request got no response");
    let message = match error.downcast_ref::<HttpsError>() {
        Some(error) if error.is_not_sent() => error.to_string(),
        _ => "Notion did not answer; what it was asked for may have been done all the same"
            .to_owned(),
    };
    envelope::error(
        StatusCode::SERVICE_UNAVAILABLE,
        "service_unavailable",
        &message,
    )
}

/// The OAuth endpoints are the gateway's own to speak with. A path that a server could read as theirs, by
/// decoding it once more or by tidying it up, is refused too.
fn check_path(path: &str) -> Result<(), Box<Response>> {
    let resource = path.strip_prefix("/v1/").unwrap_or_default();
    let resource = resource.split('/').next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if resource.is_empty() || !resource.bytes().all(is_plain) || climbs(path) {
        return Err(Box::new(envelope::error(
            StatusCode::BAD_REQUEST,
            "invalid_request_url",
            "the path is none of Notion's: /v1/, a plain name, and no segment that is `..`",
        )));
    }
    if resource.eq_ignore_ascii_case("oauth") {
        return Err(Box::new(envelope::error(
            StatusCode::FORBIDDEN,
            "restricted_resource",
            "the OAuth endpoints are not reached through the gateway: workspaces are connected at /connect",
        )));
    }
    Ok(())
}

/// Whether a segment is `.` or `..`, whatever parameters it has and however often it is encoded. What is
/// encoded more often than anybody does counts as one, since a long path can be encoded ten thousand times.
fn climbs(path: &str) -> bool {
    let mut path = path.to_owned();
    for _ in 0..4 {
        let decoded = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        if decoded == path {
            return path
                .split(['/', '\\'])
                .filter_map(|segment| segment.split(';').next())
                .any(|segment| segment == "." || segment == "..");
        }
        path = decoded;
    }
    true
}
