//! axum integration: [`AuthError`] as a response, and an extractor for the [`Connection`] of a request's
//! subject.
//!
//! It depends only on `axum-core`, which has the traits without router and server, and supports axum 0.8.
//!
//! A handler that calls Notion uses a client with the layer around it:
//!
//! ```
//! use axum::{
//!     Extension, Router,
//!     body::{Body, Bytes},
//!     extract::{FromRef, State},
//!     response::{IntoResponse, Response},
//!     routing::get,
//! };
//! use http::{Request, StatusCode};
//! use http_body_util::Empty;
//! use notion_auth::{
//!     AuthError, BoxError, HttpsClient, NotionAuth, NotionAuthLayer, NotionAuthProvider, Subject,
//!     integrations::axum::Connection, https_client,
//! };
//! use tower::{Layer as _, ServiceExt as _};
//!
//! #[derive(Clone)]
//! struct Site {
//!     provider: NotionAuthProvider,
//!     notion: NotionAuth<HttpsClient<Empty<Bytes>>>,
//! }
//!
//! impl FromRef<Site> for NotionAuthProvider {
//!     fn from_ref(site: &Site) -> Self {
//!         site.provider.clone()
//!     }
//! }
//!
//! async fn me(connection: Connection, State(site): State<Site>) -> Result<Response, Response> {
//!     let request = Request::get("https://api.notion.com/v1/users/me").extension(connection.subject);
//!     let request = request.body(Empty::new()).map_err(failed)?;
//!     let answer = site.notion.oneshot(request).await.map_err(failed)?;
//!     Ok(answer.map(Body::new))
//! }
//!
//! fn failed(error: impl Into<BoxError>) -> Response {
//!     match AuthError::find(&*error.into()) {
//!         Some(error) => error.clone().into_response(), // in the envelope of Notion's API
//!         None => StatusCode::BAD_GATEWAY.into_response(),
//!     }
//! }
//!
//! fn app(provider: NotionAuthProvider) -> Router {
//!     let layer = NotionAuthLayer::refreshing(provider.clone());
//!     let site = Site { notion: layer.layer(https_client()), provider };
//!     let session = Extension(Subject::new("ann")); // replace with your session layer
//!     Router::new().route("/me", get(me)).with_state(site).layer(session)
//! }
//! ```

use axum_core::{
    body::Body,
    extract::{FromRef, FromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;

use crate::{
    error::AuthError,
    provider::{ConnectionStatus, NotionAuthProvider},
    store::RecordState,
    subject::Subject,
};

/// [`AuthError::to_response`].
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
/// use notion_auth::{AuthError, integrations::axum::Connection};
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
