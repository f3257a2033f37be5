//! A request's way to Notion and back.

use std::{error::Error as StdError, iter::successors, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{ALLOW, CONTENT_TYPE, RETRY_AFTER},
        uri::{Authority, PathAndQuery, Scheme},
    },
    response::{IntoResponse as _, Response},
};
use notion_auth::{
    AuthError, BoxError, HttpsConfig, NotionAuth, NotionAuthLayer, NotionAuthProvider,
    layer::BufferedBody,
};
use tower::{Layer as _, ServiceExt as _};
use url::Url;

use crate::{
    access::{self, Exchange},
    body::{DataFrames, Stalled},
    envelope::{self, Refusal},
    headers::{self, RequestHeaders},
    keys::{GatewayKeys, Rights},
    limits::{Limits, Reached},
    path,
    upstream::{RESPONSE_IDLE, Upstream, UpstreamError},
};

/// Bytes of a body that are kept until the response is there, so that it can be sent again after a 401. Notion takes
/// 500 KB of JSON.
const KEPT_JSON: usize = 512 * 1024;
const KEPT: usize = 64 * 1024;

/// Methods of Notion's API. A response to TRACE would show the token.
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PATCH,
    Method::PUT,
    Method::DELETE,
];

/// What every request needs.
#[derive(Clone)]
pub(crate) struct Forward(Arc<Shared>);

struct Shared {
    keys: Arc<GatewayKeys>,
    limits: Arc<Limits>,
    request_headers: RequestHeaders,
    api_url: Url,
    /// The path before `/v1`, as callers see it.
    prefix: String,
    scheme: Scheme,
    authority: Authority,
    client: NotionAuth<Upstream>,
}

impl Forward {
    pub(crate) fn new(
        provider: NotionAuthProvider,
        keys: Arc<GatewayKeys>,
        limits: Arc<Limits>,
        request_headers: RequestHeaders,
        api_url: Url,
        https: &HttpsConfig,
        prefix: &str,
    ) -> Result<Self, BoxError> {
        let origin = api_url.as_str().parse::<Uri>()?.into_parts();
        Ok(Self(Arc::new(Shared {
            keys,
            limits,
            request_headers,
            api_url,
            prefix: prefix.to_owned(),
            scheme: origin.scheme.ok_or("the API's URL has no scheme")?,
            authority: origin.authority.ok_or("the API's URL has no host")?,
            client: NotionAuthLayer::refreshing(provider).layer(Upstream::new(https)),
        })))
    }
}

/// `/v1/*`: the caller's key becomes its subject's token.
pub(crate) async fn forward(State(Forward(state)): State<Forward>, request: Request) -> Response {
    let mut response = match state.forward(request).await {
        Ok(response) => response,
        Err(refusal) => *refusal,
    };
    headers::make_private(response.headers_mut(), "authorization, notion-auth-subject");
    response
}

impl Shared {
    async fn forward(&self, request: Request) -> Result<Response, Refusal> {
        let path = request.uri().path();
        let subject = match self.keys.check(request.headers(), Rights::CALL, path) {
            Ok(caller) => {
                access::identify(&request, &caller);
                caller.subject
            }
            Err(refused) => {
                access::refuse(&request, &refused);
                return Err(self.keys.refuse(refused).await);
            }
        };
        let (head, body) = request.into_parts();
        check_method(&head.method)?;
        path::check(head.uri.path(), head.uri.query())?;
        let permit = self.limits.admit(&subject).map_err(too_many)?;
        // It is held until the response ends.
        if let Some(exchange) = head.extensions.get::<Arc<Exchange>>() {
            exchange.hold(permit);
        }
        let kept = if is_json(&head.headers) {
            KEPT_JSON
        } else {
            KEPT
        };
        let body = BufferedBody::read(body, kept).await;
        let body = body.map_err(|error| unread(&error))?;
        let target = head.uri;
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(
                target
                    .path_and_query()
                    .cloned()
                    .unwrap_or_else(|| PathAndQuery::from_static("/")),
            )
            .build()
            .map_err(|error| unread(&error))?;
        // A new one, whose version and extensions are not those of the caller's connection.
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.request_headers.of(&head.headers);
        request.extensions_mut().insert(subject);
        let response = self.client.clone().oneshot(request).await;
        let (head, body) = response.map_err(|error| failed(&error))?.into_parts();
        let mut response = Response::new(Body::new(DataFrames::new(body, RESPONSE_IDLE)));
        *response.status_mut() = head.status;
        *response.headers_mut() =
            headers::of_response(&head.headers, &self.api_url, &target, &self.prefix);
        Ok(response)
    }
}

fn check_method(method: &Method) -> Result<(), Refusal> {
    if METHODS.contains(method) {
        return Ok(());
    }
    let mut refusal = envelope::refusal(
        "method",
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request",
        "the method is none of Notion's API",
    );
    let allowed = HeaderValue::from_static("GET, POST, PATCH, PUT, DELETE");
    refusal.headers_mut().insert(ALLOW, allowed);
    Err(refusal)
}

fn too_many(reached: Reached) -> Refusal {
    let (reason, message) = match reached {
        Reached::PerSubject => (
            "requests_per_subject",
            "this key's subject has too many requests at a time (GATEWAY_MAX_REQUESTS_PER_SUBJECT)",
        ),
        Reached::InAll => (
            "requests",
            "the gateway has too many requests at a time (GATEWAY_MAX_REQUESTS)",
        ),
    };
    let mut refusal = envelope::refusal(
        reason,
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        message,
    );
    let retry_after = HeaderValue::from_static("1");
    refusal.headers_mut().insert(RETRY_AFTER, retry_after);
    refusal
}

/// The caller's request did not arrive.
fn unread(error: &(dyn StdError + 'static)) -> Refusal {
    if let Some(stalled) = find::<Stalled>(error) {
        return envelope::refusal(
            "stalled",
            StatusCode::REQUEST_TIMEOUT,
            "invalid_request",
            &stalled.to_string(),
        );
    }
    envelope::refusal(
        "unread",
        StatusCode::BAD_REQUEST,
        "invalid_request",
        "the request could not be read to its end",
    )
}

fn failed(error: &BoxError) -> Refusal {
    let error: &(dyn StdError + 'static) = error.as_ref();
    if let Some(auth) = AuthError::find(error) {
        if auth.status().is_server_error() {
            tracing::warn!(
                error = auth as &dyn StdError,
                "a request has no credentials"
            );
        }
        let mut response = auth.to_response().into_response();
        let reason = if auth.is_not_connected() {
            "not_connected"
        } else if auth.needs_reauthorization().is_some() {
            "needs_reauthorization"
        } else {
            "credentials"
        };
        envelope::name_reason(&mut response, reason);
        return Box::new(response);
    }
    if find::<Stalled>(error).is_some() {
        return unread(error);
    }
    tracing::warn!(error, "a request got no response");
    match error.downcast_ref() {
        Some(UpstreamError::NoResponse) => envelope::refusal(
            "no_response",
            StatusCode::GATEWAY_TIMEOUT,
            "gateway_timeout",
            &error.to_string(),
        ),
        Some(UpstreamError::Https(https)) if https.is_not_sent() => envelope::refusal(
            "not_sent",
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            &https.to_string(),
        ),
        _ => envelope::refusal(
            "no_response",
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            "Notion did not answer; what it was asked for may have been done all the same",
        ),
    }
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
