//! axum integration: [`AuthError`] as a response, and an extractor for the [`Connection`] of a request's
//! subject.
//!
//! It depends only on `axum-core`, which has the traits without router and server, and supports axum 0.8.
//!
//! A handler that calls Notion takes the [`Connection`] and a client with the layer around it, and returns
//! [`HandlerError`]s:
//!
//! ```
//! use axum::{Extension, Router, body::Body, response::Response, routing::get};
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Empty;
//! use notion_auth::{
//!     Connection, HttpsClient, NotionAuth, NotionAuthLayer, NotionAuthProvider, Subject, https_client,
//!     integrations::axum::HandlerError,
//! };
//! use tower::{Layer as _, ServiceExt as _};
//!
//! type Client = NotionAuth<HttpsClient<Empty<Bytes>>>;
//!
//! async fn me(connection: Connection, Extension(notion): Extension<Client>) -> Result<Response, HandlerError> {
//!     let request = Request::get("/v1/users/me").extension(connection.subject);
//!     Ok(notion.oneshot(request.body(Empty::new())?).await?.map(Body::new))
//! }
//!
//! fn app(provider: NotionAuthProvider) -> Router {
//!     let notion: Client = NotionAuthLayer::refreshing(provider.clone()).layer(https_client());
//!     Router::new()
//!         .route("/me", get(me))
//!         .layer(Extension(notion))
//!         .layer(Extension(Subject::new("ann"))) // replace with your session layer
//!         .with_state(provider)
//! }
//! ```

use axum_core::{
    body::Body,
    extract::{FromRef, FromRequestParts},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE, request::Parts};

use crate::{
    error::{AuthError, BoxError},
    provider::{ConnectionStatus, NotionAuthProvider},
    store::RecordState,
    subject::Subject,
};

/// Error of a handler that calls Notion, as a response.
///
/// An [`AuthError`] is its [`to_response`](AuthError::to_response). Any other error is 502, in the envelope of Notion's
/// API, and is logged. Every error converts into this type, so that handlers use `?`.
#[derive(Debug)]
pub struct HandlerError(BoxError);

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for HandlerError {
    fn into_response(self) -> Response {
        if let Some(error) = AuthError::find(&*self.0) {
            return error.to_response().map(Body::new);
        }
        tracing::warn!(error = %self.0, "a handler that calls Notion failed");
        const BODY: &str = r#"{"object":"error","status":502,"code":"bad_gateway","message":"notion-auth: the request to Notion failed"}"#;
        let mut response = Response::new(Body::from(BODY));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

/// See [`AuthError::to_response`].
impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        self.to_response().map(Body::new)
    }
}

/// Extractor for the connection of the request's [`Subject`], if it is usable according to the store.
///
/// The application's session layer inserts the subject into the request's extensions. The provider is the
/// router's state, or part of it ([`FromRef`]). The store is read for each request, and nothing is
/// refreshed.
///
/// | otherwise | the rejection, in the envelope of Notion's API |
/// |---|---|
/// | the visitor is not signed in: the request has no subject | 401 `unauthorized` |
/// | no workspace is connected, or it must be connected again | 401 `unauthorized`: connect (again) |
/// | the store does not answer | 503 `service_unavailable` with `Retry-After` |
/// | the store cannot be used as it is, or the token cannot be sent | 500 `internal_server_error`: what to do |
///
/// In an application that has only an integration token, it refuses every request.
///
/// A page that is also shown without a connection takes a `Result`:
///
/// ```
/// use notion_auth::{AuthError, Connection};
///
/// async fn settings(connection: Result<Connection, AuthError>) -> Result<String, AuthError> {
///     Ok(match connection {
///         Ok(connection) => format!("Connected: {}", connection.status.workspace_name.unwrap_or_default()),
///         Err(error) if error.is_not_connected() => "Connect Notion".to_owned(),
///         Err(error) if error.needs_reauthorization().is_some() => "Connect Notion again".to_owned(),
///         Err(error) => return Err(error),
///     })
/// }
/// # let provider = notion_auth::testing::fixed_token("ntn_test", "http://127.0.0.1:8080")?;
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(settings)).with_state(provider);
/// # Ok::<(), notion_auth::BoxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// The subject of the connection, to insert into the extensions of requests to Notion.
    pub subject: Subject,
    /// The connected workspace and the time of the connection. Its state is [`RecordState::Active`].
    pub status: ConnectionStatus,
}

impl<S> FromRequestParts<S> for Connection
where
    NotionAuthProvider: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AuthError> {
        let Some(subject) = parts.extensions.get::<Subject>().cloned() else {
            return Err(AuthError::no_subject());
        };
        let provider = NotionAuthProvider::from_ref(state);
        let Some(status) = provider.status(&subject).await? else {
            return Err(AuthError::not_connected().with_subject(&subject));
        };
        match status.state {
            RecordState::Active => match status.invalid_token {
                None => Ok(Self { subject, status }),
                Some(reason) => Err(AuthError::from(reason).with_subject(&subject)),
            },
            RecordState::NeedsReauthorization(reason) => {
                Err(AuthError::reauthorize(reason).with_subject(&subject))
            }
            RecordState::Disconnected => Err(AuthError::not_connected().with_subject(&subject)),
            // The cause is in the credentials' error.
            RecordState::Unreadable => match provider.load_credentials(&subject).await {
                Ok(_) => Err(AuthError::not_connected().with_subject(&subject)),
                Err(error) => Err(error),
            },
        }
    }
}
