//! `/connect`: visitors sign in by a key with the right to connect, or by the cookie that stands for it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, FromRequest as _, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, LOCATION,
            ORIGIN, SET_COOKIE,
        },
        request::Parts,
    },
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{any, get, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use cookie::{Cookie, CookieJar, Key, SameSite};
use maud::Markup;
use notion_auth::{
    BoxError, NotionAuthProvider, NotionOAuthService, Subject,
    routes::{AnotherIdentityConfirmed, AuthenticatedByHeader},
};
use serde::Deserialize;
use tower::ServiceExt as _;
use url::{Url, form_urlencoded};

use crate::{
    access, envelope,
    keys::{Caller, Fingerprint, GatewayKey, GatewayKeys, Owner, Refused, Rights, fingerprint},
    page,
    settings::Site,
};

/// How long a visitor stays signed in after the last request.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// How long a visitor stays signed in with requests. A stolen cookie is of no use after that.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// How long a confirmation of another account or workspace holds: as long as the flow that it is for.
const CONFIRMED: Duration = Duration::from_secs(10 * 60);

/// The longest form, in bytes.
const LONGEST_FORM: usize = 4096;

/// Signs visitors in and recognizes them. It stores nothing: replicas with the same keys recognize each other's
/// visitors.
#[derive(Clone)]
pub(crate) struct Connect {
    keys: Arc<GatewayKeys>,
    cookie_key: Key,
    site: Arc<Site>,
    provider: NotionAuthProvider,
    routes: NotionOAuthService,
}

/// A visitor who is signed in by a cookie.
#[derive(Clone)]
struct Visitor {
    fingerprint: Fingerprint,
    /// Unix seconds.
    signed_in_at: u64,
    caller: Caller,
}

impl Connect {
    pub(crate) fn new(
        keys: Arc<GatewayKeys>,
        cookie_key: Key,
        site: Site,
        provider: NotionAuthProvider,
    ) -> Result<Self, BoxError> {
        let routes = provider
            .routes()
            .mount_path(site.path("/connect"))
            .default_return_target(site.path("/connect"))
            .refuse_another_identity()
            .build()?;
        Ok(Self {
            routes,
            keys,
            cookie_key,
            site: Arc::new(site),
            provider,
        })
    }

    fn name(&self, name: &'static str) -> String {
        match self.site.is_https() {
            true => format!("__Host-{name}"),
            false => name.to_owned(),
        }
    }

    /// `Set-Cookie` with an encrypted value; one that removes the cookie if the value is empty.
    fn sealed(&self, name: &'static str, value: String, lifetime: Duration) -> String {
        let name = self.name(name);
        let is_removed = value.is_empty();
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(0);
        let cookie = Cookie::build((name.clone(), value))
            .path("/")
            .http_only(true)
            .secure(self.site.is_https())
            .same_site(SameSite::Lax)
            .max_age(time::Duration::seconds(seconds))
            .build();
        if is_removed {
            return cookie.to_string();
        }
        let mut jar = CookieJar::new();
        jar.private_mut(&self.cookie_key).add(cookie);
        jar.get(&name).map(ToString::to_string).unwrap_or_default()
    }

    /// The decrypted value of a cookie.
    fn opened(&self, headers: &HeaderMap, name: &'static str) -> Option<String> {
        let name = self.name(name);
        let mut sent = headers
            .get_all(COOKIE)
            .into_iter()
            // As bytes, because cookies of other programs may not be text.
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| std::str::from_utf8(pair.trim_ascii()).ok())
            .filter_map(|pair| Cookie::parse(pair).ok())
            .filter(|cookie| cookie.name() == name);
        let jar = CookieJar::new();
        let jar = jar.private(&self.cookie_key);
        let opened = sent.find_map(|cookie| jar.decrypt(cookie.into_owned()))?;
        Some(opened.value().to_owned())
    }

    /// `Set-Cookie` for the visitor who has that key.
    fn visitor_cookie(&self, fingerprint: &Fingerprint, signed_in_at: u64) -> String {
        let until = (now() + LIFETIME.as_secs()).min(signed_in_at + LONGEST.as_secs());
        let lifetime = Duration::from_secs(until.saturating_sub(now()));
        let key = BASE64_URL_SAFE_NO_PAD.encode(fingerprint);
        self.sealed("gateway", format!("{until}.{signed_in_at}.{key}"), lifetime)
    }

    /// Returns the visitor whose cookie it is. A key that is no longer there signs no one in.
    fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        let value = self.opened(headers, "gateway")?;
        let (until, rest) = value.split_once('.')?;
        let (signed_in_at, key) = rest.split_once('.')?;
        if until.parse::<u64>().ok()? < now() {
            return None;
        }
        let fingerprint = BASE64_URL_SAFE_NO_PAD.decode(key).ok()?;
        let fingerprint = fingerprint.try_into().ok()?;
        let key = self.keys.by_fingerprint(&fingerprint)?;
        Some(Visitor {
            fingerprint,
            signed_in_at: signed_in_at.parse().ok()?,
            caller: visiting(&key).ok()?,
        })
    }

    /// Whether a page of the gateway sent this form. Otherwise another site could sign its visitors in
    /// with a key of its own, and get what they connect.
    fn is_own(&self, headers: &HeaderMap) -> bool {
        if let Some(site) = headers.get("sec-fetch-site") {
            return site == "same-origin";
        }
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        origin.is_some_and(|origin| self.site.is_origin(origin))
    }

    /// Whether this callback is of the flow for which the visitor confirmed another account or workspace.
    fn is_confirmed(&self, head: &Parts) -> bool {
        let confirmed = || {
            let visitor = head.extensions.get::<Visitor>()?;
            let value = self.opened(&head.headers, "gateway-replace")?;
            let (until, expected) = value.split_once('.')?;
            let is_current = until.parse::<u64>().ok()? >= now();
            let state = parameter(head.uri.query()?, "state")?;
            Some(is_current && expected == confirmation(&state, &visitor.fingerprint))
        };
        confirmed().unwrap_or(false)
    }
}

/// What a confirmation holds for: a flow, and the key by which the visitor is signed in.
fn confirmation(state: &str, key: &Fingerprint) -> String {
    let key = BASE64_URL_SAFE_NO_PAD.encode(key);
    BASE64_URL_SAFE_NO_PAD.encode(fingerprint(&format!("{key}.{state}")))
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(known, value)| (known == name).then(|| value.into_owned()))
}

/// Returns the caller that a key signs in on the pages, or why it does not.
fn visiting(key: &GatewayKey) -> Result<Caller, &'static str> {
    let Owner::Subject(subject) = &key.owner else {
        return Err(
            "That is a key for services. To connect a workspace, use the key of one subject.",
        );
    };
    if key.is_expired() {
        return Err("That key has expired.");
    }
    if !key.rights.connect {
        return Err(
            "That key calls Notion and doesn’t connect workspaces. Use one that may connect.",
        );
    }
    Ok(Caller {
        key_id: Arc::clone(&key.id),
        subject: subject.clone(),
    })
}

/// Everything under `/connect`, and the redirect URI.
pub(crate) fn router(connect: Connect) -> Router {
    let known = middleware::from_fn_with_state(connect.clone(), know);
    let mut routes = Router::new()
        .route("/connect/{route}", any(oauth_route))
        .route("/connect", get(index))
        .route("/connect/", get(index))
        .route("/connect/replace", post(replace));
    let callback = connect.site.inner_path(connect.site.callback());
    if callback != "/connect/callback" {
        routes = routes.route(callback, any(oauth_route));
    }
    routes
        .route_layer(known)
        .route("/connect/sign-in", post(sign_in))
        .route("/connect/sign-out", post(sign_out))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(connect)
}

/// Puts the subject into the request's extensions, for the routes, and renews the visitor's cookie.
async fn know(State(connect): State<Connect>, mut request: Request, next: Next) -> Response {
    let visitor = connect.visitor(request.headers());
    let path = request.uri().path();
    let caller = match connect.keys.check(request.headers(), Rights::CONNECT, path) {
        Ok(caller) => {
            request.extensions_mut().insert(AuthenticatedByHeader);
            Some(caller)
        }
        Err(refused) => {
            // A server in front may add a bearer of its own to what browsers send.
            let is_foreign = matches!(refused, Refused::NoKey | Refused::WrongKey);
            match &visitor {
                Some(visitor) if is_foreign => {
                    let visitor = visitor.clone();
                    request.extensions_mut().insert(visitor);
                }
                _ if matches!(refused, Refused::NoKey) && !has_bearer(request.headers()) => {}
                _ if is_foreign && is_browser(request.headers()) => {
                    // Delayed as well, or the page would be a way to try keys.
                    if matches!(refused, Refused::WrongKey) && !connect.keys.delay_wrong_key().await
                    {
                        return envelope::too_many_wrong_keys();
                    }
                }
                _ => {
                    access::refuse(&request, &refused);
                    return *connect.keys.refuse(refused).await;
                }
            }
            request
                .extensions()
                .get::<Visitor>()
                .map(|it| it.caller.clone())
        }
    };
    if let Some(caller) = caller {
        access::identify(&request, &caller);
        request.extensions_mut().insert(caller.subject);
    }
    let by_cookie = request.extensions().get::<Visitor>().cloned();
    let mut response = next.run(request).await;
    if let Some(visitor) = by_cookie {
        let cookie = connect.visitor_cookie(&visitor.fingerprint, visitor.signed_in_at);
        add_cookie(&mut response, &cookie);
    }
    response
}

fn has_bearer(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
}

/// Whether the request asks for a page, as a browser does.
fn is_browser(headers: &HeaderMap) -> bool {
    let mut values = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|it| it.to_str().ok());
    values.any(|accept| accept.to_ascii_lowercase().contains("text/html"))
}

async fn oauth_route(State(connect): State<Connect>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let is_confirmed = connect.is_confirmed(&head);
    if is_confirmed {
        head.extensions.insert(AnotherIdentityConfirmed);
    }
    let request = Request::from_parts(head, body);
    let Ok(response) = connect.routes.clone().oneshot(request).await;
    let mut response = response.into_response();
    if is_confirmed {
        let removed = connect.sealed("gateway-replace", String::new(), Duration::ZERO);
        add_cookie(&mut response, &removed);
    }
    response
}

/// Starts a flow in which the visitor may choose another account or workspace than the one that is connected.
async fn replace(State(connect): State<Connect>, request: Request) -> Response {
    let Some(visitor) = request.extensions().get::<Visitor>().cloned() else {
        return Redirect::to(&connect.site.path("/connect")).into_response();
    };
    if !connect.is_own(request.headers()) {
        return foreign(&connect.site);
    }
    let (mut head, body) = request.into_parts();
    let here = connect.site.path("/connect");
    head.method = Method::GET;
    let target = format!("/connect/authorize?return_to={here}");
    let Ok(target) = target.parse() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    head.uri = target;
    let request = Request::from_parts(head, body);
    let Ok(response) = connect.routes.clone().oneshot(request).await;
    let mut response = response.into_response();
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|it| it.to_str().ok());
    let location = location.and_then(|it| Url::parse(it).ok());
    if let Some(state) = location.and_then(|it| parameter(it.query()?, "state")) {
        let until = now() + CONFIRMED.as_secs();
        let value = format!("{until}.{}", confirmation(&state, &visitor.fingerprint));
        let cookie = connect.sealed("gateway-replace", value, CONFIRMED);
        add_cookie(&mut response, &cookie);
    }
    response
}

async fn index(State(connect): State<Connect>, request: Request) -> Response {
    let Some(subject) = request.extensions().get::<Subject>() else {
        return sign_in_page(&connect.site, None);
    };
    let status = connect.provider.status(subject).await;
    // Browsers apply `form-action` to the redirect after a form too, and one form leads to Notion.
    html(page::connection(&connect.site, &status), "")
}

/// It is one visitor's, no other site's to frame, and loads nothing.
fn html(page: Markup, forms: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'{forms}"
    );
    let headers = [
        (CACHE_CONTROL, "no-store".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, Html(page.into_string())).into_response()
}

fn sign_in_page(site: &Site, problem: Option<&str>) -> Response {
    html(page::sign_in(site, problem), "; form-action 'self'")
}

#[derive(Deserialize)]
struct SignIn {
    key: String,
}

async fn sign_in(State(connect): State<Connect>, request: Request) -> Response {
    // Before the form is read.
    if !connect.is_own(request.headers()) {
        return foreign(&connect.site);
    }
    let form = match Form::<SignIn>::from_request(request, &()).await {
        Ok(Form(form)) => form,
        Err(rejected) => return rejected.into_response(),
    };
    let Some((fingerprint, key)) = connect.keys.find(form.key.trim()) else {
        if !connect.keys.delay_wrong_key().await {
            return envelope::too_many_wrong_keys();
        }
        let page = sign_in_page(&connect.site, Some("That is none of the gateway’s keys."));
        return (StatusCode::UNAUTHORIZED, page).into_response();
    };
    match visiting(&key) {
        Ok(_) => with_cookie(&connect, &connect.visitor_cookie(&fingerprint, now())),
        Err(problem) => {
            let page = sign_in_page(&connect.site, Some(problem));
            (StatusCode::FORBIDDEN, page).into_response()
        }
    }
}

async fn sign_out(State(connect): State<Connect>, headers: HeaderMap) -> Response {
    if !connect.is_own(&headers) {
        return foreign(&connect.site);
    }
    with_cookie(
        &connect,
        &connect.sealed("gateway", String::new(), Duration::ZERO),
    )
}

fn with_cookie(connect: &Connect, cookie: &str) -> Response {
    let mut response = Redirect::to(&connect.site.path("/connect")).into_response();
    add_cookie(&mut response, cookie);
    response
}

fn add_cookie(response: &mut Response, cookie: &str) {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, value);
    }
}

fn foreign(site: &Site) -> Response {
    let message = format!(
        "that form is not the gateway's own: open {}. If the browser shows another address, set GATEWAY_PUBLIC_URL to \
         that",
        site.address("/connect")
    );
    envelope::error(StatusCode::FORBIDDEN, "restricted_resource", &message)
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
