//! Who connects a workspace: the owner of a key, by the key itself or by a cookie that stands for it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, ORIGIN, SET_COOKIE},
    },
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use cookie::{Cookie, CookieJar, Key, SameSite};
use maud::Markup;
use notion_auth::{NotionAuthProvider, NotionOAuthService, Subject, routes::AuthenticatedByHeader};
use serde::Deserialize;
use url::Url;

use crate::{
    access, envelope,
    forward::bearer,
    keys::{Fingerprint, GatewayKeys},
    page,
};

/// Maximum size of a form.
const FORM: usize = 4 * 1024;

const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// What signs visitors in and knows them again. It keeps nothing: replicas with the same keys know each
/// other's visitors.
#[derive(Clone)]
pub(crate) struct Connect {
    keys: Arc<GatewayKeys>,
    cookie_key: Key,
    public_url: Arc<Url>,
    provider: NotionAuthProvider,
}

impl Connect {
    pub(crate) fn new(
        keys: Arc<GatewayKeys>,
        cookie_key: Key,
        public_url: Url,
        provider: NotionAuthProvider,
    ) -> Self {
        Self {
            keys,
            cookie_key,
            public_url: Arc::new(public_url),
            provider,
        }
    }

    fn cookie(&self, value: String, lifetime: Duration) -> Cookie<'static> {
        let is_https = self.public_url.scheme() == "https";
        let name = if is_https {
            "__Host-gateway"
        } else {
            "gateway"
        };
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(0);
        Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .secure(is_https)
            .same_site(SameSite::Lax)
            .max_age(cookie::time::Duration::seconds(seconds))
            .build()
    }

    /// `Set-Cookie` for who has that key.
    fn sealed(&self, fingerprint: &Fingerprint) -> String {
        let value = format!(
            "{}.{}",
            now() + LIFETIME.as_secs(),
            BASE64_URL_SAFE_NO_PAD.encode(fingerprint)
        );
        let cookie = self.cookie(value, LIFETIME);
        let name = cookie.name().to_owned();
        let mut jar = CookieJar::new();
        jar.private_mut(&self.cookie_key).add(cookie);
        jar.get(&name).map(ToString::to_string).unwrap_or_default()
    }

    /// Whose cookie it is. A key that is no longer the gateway's opens nothing.
    fn visitor(&self, headers: &HeaderMap) -> Option<(Fingerprint, Subject)> {
        let wanted = self.cookie(String::new(), LIFETIME);
        let sent = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .find(|cookie| cookie.name() == wanted.name())?;
        let jar = CookieJar::new();
        let opened = jar.private(&self.cookie_key).decrypt(sent.into_owned())?;
        let (until, fingerprint) = opened.value().split_once('.')?;
        if until.parse::<u64>().ok()? < now() {
            return None;
        }
        let fingerprint = BASE64_URL_SAFE_NO_PAD.decode(fingerprint).ok()?;
        let fingerprint = fingerprint.try_into().ok()?;
        let subject = self.keys.subject(&fingerprint)?;
        Some((fingerprint, subject))
    }

    /// Whether a page of the gateway sent this form. Otherwise another site could sign its visitors in
    /// with a key of its own, and get what they connect.
    fn is_own(&self, headers: &HeaderMap) -> bool {
        if let Some(site) = headers.get("sec-fetch-site") {
            return site == "same-origin";
        }
        headers
            .get(ORIGIN)
            .and_then(|origin| Url::parse(origin.to_str().ok()?).ok())
            .is_some_and(|origin| origin.origin() == self.public_url.origin())
    }
}

/// Everything under `/connect`.
pub(crate) fn router(connect: Connect, routes: NotionOAuthService) -> Router {
    let known = middleware::from_fn_with_state(connect.clone(), know);
    let own = middleware::from_fn_with_state(connect.clone(), only_own);
    Router::new()
        .route_service("/connect/{route}", routes)
        .route("/connect", get(index))
        .route("/connect/", get(index))
        .layer(known)
        .route("/connect/sign-in", post(sign_in).layer(own.clone()))
        .route("/connect/sign-out", post(sign_out).layer(own))
        .layer(DefaultBodyLimit::max(FORM))
        .with_state(connect)
}

/// Puts the subject into the request's extensions, for the routes.
async fn know(State(connect): State<Connect>, mut request: Request, next: Next) -> Response {
    if let Some(key) = bearer(request.headers()) {
        let Some((key, subject)) = connect.keys.find(key) else {
            return envelope::no_key();
        };
        access::identify(&request, &key, &subject);
        request.extensions_mut().insert(subject);
        request.extensions_mut().insert(AuthenticatedByHeader);
    } else if let Some((key, subject)) = connect.visitor(request.headers()) {
        access::identify(&request, &key, &subject);
        request.extensions_mut().insert(subject);
    }
    next.run(request).await
}

async fn index(State(connect): State<Connect>, request: Request) -> Response {
    let Some(subject) = request.extensions().get::<Subject>() else {
        return html(page::sign_in(None));
    };
    html(page::connection(&connect.provider.status(subject).await))
}

/// It is one visitor's, no other site's to frame, and loads nothing.
fn html(page: Markup) -> Response {
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'",
        ),
    ];
    (headers, Html(page.into_string())).into_response()
}

#[derive(Deserialize)]
struct SignIn {
    key: String,
}

/// Refuses forms of other sites, before they are read.
async fn only_own(State(connect): State<Connect>, request: Request, next: Next) -> Response {
    match connect.is_own(request.headers()) {
        true => next.run(request).await,
        false => foreign(),
    }
}

async fn sign_in(State(connect): State<Connect>, Form(form): Form<SignIn>) -> Response {
    match connect.keys.find(form.key.trim()) {
        Some((fingerprint, _)) => with_cookie(&connect.sealed(&fingerprint)),
        None => (
            StatusCode::UNAUTHORIZED,
            html(page::sign_in(Some("That is none of the gateway’s keys."))),
        )
            .into_response(),
    }
}

async fn sign_out(State(connect): State<Connect>) -> Response {
    with_cookie(&connect.cookie(String::new(), Duration::ZERO).to_string())
}

fn with_cookie(cookie: &str) -> Response {
    let mut response = Redirect::to("/connect").into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    response
}

fn foreign() -> Response {
    envelope::error(
        StatusCode::FORBIDDEN,
        "restricted_resource",
        "that form is not the gateway's own: GATEWAY_PUBLIC_URL must be what the browser shows",
    )
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
