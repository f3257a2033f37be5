//! The site itself: one page, and the forms to sign in and out.

use axum::{
    Extension, Form, Router,
    extract::{Query, State},
    http::{HeaderMap, Request, StatusCode, header::SET_COOKIE},
    middleware,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use notion_auth::{
    AuthError, BoxError, HttpsClient, NotionAuth, NotionAuthLayer, NotionAuthProvider,
    NotionOAuthService, https_client,
};
use serde::Deserialize;
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _};

use crate::{
    page::{self, Connection},
    session::{self, Sessions, Visitor},
};

#[derive(Clone)]
struct Site {
    provider: NotionAuthProvider,
    api_url: String,
    client: NotionAuth<HttpsClient<Empty<Bytes>>>,
    sessions: Sessions,
}

pub(crate) fn router(
    provider: NotionAuthProvider,
    api_url: String,
    routes: NotionOAuthService,
) -> Router {
    let sessions = Sessions::default();
    let site = Site {
        client: NotionAuthLayer::refreshing(provider.clone()).layer(https_client()),
        provider,
        api_url,
        sessions: sessions.clone(),
    };
    Router::new()
        .route("/", get(index))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .with_state(site)
        .nest_service("/notion", routes)
        // Around both, so that the routes know who is signed in.
        .layer(middleware::from_fn_with_state(sessions, session::layer))
}

/// What the routes add to where they send a browser back to.
#[derive(Deserialize)]
struct Returned {
    notion: Option<String>,
}

async fn index(
    State(site): State<Site>,
    visitor: Option<Extension<Visitor>>,
    Query(returned): Query<Returned>,
) -> Html<String> {
    let Some(Extension(visitor)) = visitor else {
        return Html(page::sign_in().into_string());
    };
    let connection = site.connection(&visitor).await;
    let connection = connection.unwrap_or_else(|error| Connection::Unknown(error.to_string()));
    let page = page::signed_in(&visitor.name, &connection, returned.notion.as_deref());
    Html(page.into_string())
}

impl Site {
    async fn connection(&self, visitor: &Visitor) -> Result<Connection, AuthError> {
        let subject = visitor.subject();
        if self.provider.status(&subject).await?.is_none() {
            return Ok(Connection::None);
        }
        let me = self.who_am_i(visitor).await;
        // Only now: the call may have shown that the connection has ended.
        let status = self.provider.status(&subject).await?;
        Ok(status.map_or(Connection::None, |status| {
            Connection::Some(Box::new(status), me.map_err(|error| shown(&error)))
        }))
    }

    /// The API's word about the connection: a call on the visitor's behalf.
    async fn who_am_i(&self, visitor: &Visitor) -> Result<Value, BoxError> {
        let url = format!("{}/v1/users/me", self.api_url);
        let mut request = Request::get(url).body(Empty::new())?;
        request.extensions_mut().insert(visitor.subject());
        let response = self.client.clone().oneshot(request).await?;
        let body = response.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }
}

fn shown(error: &BoxError) -> String {
    AuthError::find(&**error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[derive(Deserialize)]
struct SignIn {
    name: String,
}

async fn sign_in(State(site): State<Site>, Form(form): Form<SignIn>) -> Response {
    let name = form.name.trim();
    if name.is_empty() || name.chars().count() > 40 {
        let page = Html(page::sign_in().into_string());
        return (StatusCode::BAD_REQUEST, page).into_response();
    }
    match site.sessions.begin(name.to_owned()) {
        Ok(cookie) => ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn sign_out(State(site): State<Site>, headers: HeaderMap) -> impl IntoResponse {
    (
        [(SET_COOKIE, site.sessions.end(&headers))],
        Redirect::to("/"),
    )
}
