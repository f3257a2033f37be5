//! `/connect`: visitors sign in by a key with the right to connect, or by the cookie that stands for it.

use std::{sync::Arc, time::Duration};

use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, FromRequest as _, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{
            ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, ORIGIN,
            REFERRER_POLICY, SET_COOKIE,
        },
        request::Parts,
    },
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{any, get, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use cookie::Key;
use maud::Markup;
use notion_auth::{
    BoxError, NotionAuthProvider, NotionOAuthService, Subject,
    routes::{AnotherIdentityConfirmed, AuthenticatedByHeader},
    store::RecordState,
};
use serde::Deserialize;
use tower::ServiceExt as _;
use url::{Url, form_urlencoded};

use crate::{
    access,
    changes::{Change, Changes},
    envelope,
    keys::{Caller, Fingerprint, GatewayKeys, Refused, Rights, fingerprint},
    link::{self, UsedLinks},
    page,
    sealed::Sealer,
    site::Site,
    visitor::{Visitor, now},
};

/// How long a confirmation of another account or workspace holds: as long as the flow that it is for.
const CONFIRMED: Duration = Duration::from_secs(10 * 60);

/// The name of its cookie.
const CONFIRMATION: &str = "gateway-replace";

/// Browsers send it.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The longest form, in bytes.
pub(crate) const LONGEST_FORM: usize = 4096;

/// Signs visitors in and recognizes them.
#[derive(Clone)]
pub(crate) struct Connect {
    pub(crate) keys: Arc<GatewayKeys>,
    pub(crate) sealer: Sealer,
    pub(crate) site: Arc<Site>,
    pub(crate) provider: NotionAuthProvider,
    pub(crate) used_links: UsedLinks,
    changes: Arc<Changes>,
    routes: NotionOAuthService,
}

impl Connect {
    pub(crate) fn new(
        keys: Arc<GatewayKeys>,
        cookie_key: Key,
        used_links: UsedLinks,
        changes: Arc<Changes>,
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
            sealer: Sealer::new(cookie_key, site.is_https()),
            site: Arc::new(site),
            provider,
            used_links,
            changes,
        })
    }

    pub(crate) fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        Visitor::of(headers, &self.sealer, &self.keys)
    }

    /// Whether a page of the gateway sent this form. Otherwise another site could sign its visitors in
    /// with a key of its own, and get what they connect.
    pub(crate) fn is_own(&self, headers: &HeaderMap) -> bool {
        if let Some(site) = headers.get(SEC_FETCH_SITE) {
            return site == "same-origin";
        }
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        origin.is_some_and(|origin| self.site.is_origin(origin))
    }

    /// Calls the library's routes.
    async fn route(&self, mut request: Request) -> Response {
        let path = self.site.inner_path(request.uri().path());
        let change = if path == self.site.inner_path(self.site.callback()) {
            Some(Change::Connect)
        } else if path == "/connect/disconnect" {
            Some(Change::Disconnect)
        } else {
            None
        };
        let caller = request.extensions().get::<Caller>();
        let guard = change
            .zip(caller)
            .map(|(change, caller)| self.changes.begin(change, caller));
        // The access line of a browser that goes away must not wait for the task below.
        access::forget(&mut request);
        let responding = self.routes.clone().oneshot(request);
        // In a task, because the change goes on when the browser goes away, and so must the guard.
        let responding = tokio::spawn(async move {
            let response = responding.await;
            drop(guard);
            response
        });
        match responding.await {
            Ok(Ok(response)) => response.into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }

    /// Whether this callback is of the flow for which the visitor confirmed another account or workspace.
    fn is_confirmed(&self, head: &Parts) -> bool {
        let confirmed = || {
            let visitor = head.extensions.get::<Visitor>()?;
            let value = self.sealer.read(&head.headers, CONFIRMATION)?;
            let (until, expected) = value.split_once('.')?;
            let is_current = until.parse::<u64>().ok()? >= now();
            let state = parameter(head.uri.query()?, "state")?;
            Some(is_current && expected == confirmation(&state, &visitor.fingerprint))
        };
        confirmed().unwrap_or(false)
    }
}

/// What a confirmation holds for: a flow, which is of one subject, and the key by which the visitor is signed in.
fn confirmation(state: &str, key: &Fingerprint) -> String {
    let key = BASE64_URL_SAFE_NO_PAD.encode(key);
    BASE64_URL_SAFE_NO_PAD.encode(fingerprint(&format!("{key}.{state}")))
}

pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(known, value)| (known == name).then(|| value.into_owned()))
}

/// Everything under `/connect`, and the redirect URI.
pub(crate) fn router(connect: Connect) -> Router {
    let known = middleware::from_fn_with_state(connect.clone(), know);
    let mut routes = Router::new()
        .route("/connect/{route}", any(oauth_route))
        .route("/connect", get(index))
        .route("/connect/links", post(link::make))
        .route("/connect/", get(index))
        .route("/connect/replace", post(replace));
    let callback = connect.site.inner_path(connect.site.callback());
    if callback != "/connect/callback" {
        routes = routes.route(callback, any(oauth_route));
    }
    routes
        .route_layer(known)
        .route("/connect/link", get(link::show).post(link::follow))
        .route("/connect/sign-in", post(sign_in))
        .route("/connect/sign-out", post(sign_out))
        .method_not_allowed_fallback(not_allowed)
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
            // HTTP clients of services may accept HTML by default. A server in front may add a key to what browsers send.
            if !request.headers().contains_key(SEC_FETCH_SITE) {
                request.headers_mut().remove(ACCEPT);
            }
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
        request.extensions_mut().insert(caller.subject.clone());
        request.extensions_mut().insert(caller);
    }
    let by_cookie = request.extensions().get::<Visitor>().cloned();
    if let Some(visitor) = &by_cookie
        && let Err(response) = check_page(&connect, visitor, &mut request)
    {
        return *response;
    }
    let mut response = next.run(request).await;
    if let Some(visitor) = by_cookie {
        add_cookie(&mut response, &visitor.cookie(&connect.sealer));
    }
    response
}

/// Refuses changes that a page of another account asks for. The library's pages don't say which account they are of:
/// instead of those with buttons, the visitor gets the gateway's page.
fn check_page(
    connect: &Connect,
    visitor: &Visitor,
    request: &mut Request,
) -> Result<(), Box<Response>> {
    let uri = request.uri();
    let page = uri.query().and_then(|it| parameter(it, "page"));
    let path = connect.site.inner_path(uri.path()).to_owned();
    let needs_page = ["/connect/disconnect", "/connect/replace"].contains(&&*path);
    if page.as_ref().map_or(needs_page, |it| *it != visitor.mark()) {
        let page = html(page::of_another_account(&connect.site, visitor), "");
        return Err(Box::new((StatusCode::CONFLICT, page).into_response()));
    }
    let is_page_of_library = match &*path {
        "/connect/authorize" => page.is_none(),
        "/connect/status" => is_browser(request.headers()),
        _ => false,
    };
    if is_page_of_library {
        let page = Redirect::to(&connect.site.path("/connect"));
        return Err(Box::new(page.into_response()));
    }
    // Without `return_to`, a flow ends at the gateway's page, which knows where the link returns to.
    if ["/connect/authorize", "/connect/disconnect"].contains(&&*path)
        && let Ok(uri) = path.parse()
    {
        *request.uri_mut() = uri;
    }
    Ok(())
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

async fn not_allowed() -> Response {
    envelope::error(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request",
        "this path has another method: the header Allow names it",
    )
}

async fn oauth_route(State(connect): State<Connect>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let is_known = head.extensions.get::<Subject>().is_some();
    if !is_known && !is_browser(&head.headers) {
        return envelope::no_key();
    }
    let has_way_back = is_cancelled(&connect, &head);
    let is_confirmed = connect.is_confirmed(&head);
    if is_confirmed {
        head.extensions.insert(AnotherIdentityConfirmed);
    }
    let mut response = connect.route(Request::from_parts(head, body)).await;
    if is_confirmed {
        add_cookie(&mut response, &connect.sealer.removed(CONFIRMATION));
    }
    if has_way_back && response.status() == StatusCode::FORBIDDEN {
        let cookies = response.headers().get_all(SET_COOKIE).into_iter().cloned();
        let mut page = Redirect::to(&connect.site.path("/connect")).into_response();
        page.headers_mut()
            .extend(cookies.map(|it| (SET_COOKIE, it)));
        return page;
    }
    response
}

/// Whether a link's visitor cancelled at Notion. The gateway's page leads back to where the link says, which the library's
/// page does not know.
fn is_cancelled(connect: &Connect, head: &Parts) -> bool {
    let visitor = head.extensions.get::<Visitor>();
    let error = head.uri.query().and_then(|it| parameter(it, "error"));
    let path = connect.site.inner_path(head.uri.path());
    visitor.is_some_and(|it| it.return_to().is_some())
        && is_browser(&head.headers)
        && path == connect.site.inner_path(connect.site.callback())
        && error.as_deref() == Some("access_denied")
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
    head.method = Method::GET;
    head.uri = Uri::from_static("/connect/authorize");
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
        let cookie = connect.sealer.cookie(CONFIRMATION, value, CONFIRMED);
        add_cookie(&mut response, &cookie);
    }
    response
}

async fn index(State(connect): State<Connect>, request: Request) -> Response {
    let Some(subject) = request.extensions().get::<Subject>() else {
        return sign_in_page(&connect.site, None);
    };
    let visitor = request.extensions().get::<Visitor>();
    let return_to = visitor.and_then(Visitor::return_to);
    let result = request
        .uri()
        .query()
        .and_then(|query| parameter(query, "notion"));
    let status = connect.provider.status(subject).await;
    let is_connected =
        matches!(&status, Ok(Some(status)) if matches!(status.state, RecordState::Active));
    if let (Some(return_to), Some("connected"), true) = (return_to, result.as_deref(), is_connected)
    {
        return Redirect::to(return_to).into_response();
    }
    // Browsers apply `form-action` to the redirect after a form too, and one form leads to Notion.
    html(page::connection(&connect.site, visitor, &status), "")
}

/// It is one visitor's, no other site's to frame, and loads nothing.
pub(crate) fn html(page: Markup, forms: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'{forms}"
    );
    let headers = [
        (CACHE_CONTROL, "no-store".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        // Not `no-referrer`, under which browsers send `Origin: null` with a form.
        (REFERRER_POLICY, "same-origin".to_owned()),
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
        Err(rejected) => {
            let problem = "That form can’t be read. Please try again.";
            let page = sign_in_page(&connect.site, Some(problem));
            return (rejected.status(), page).into_response();
        }
    };
    let Some((fingerprint, key)) = connect.keys.find(form.key.trim()) else {
        if !connect.keys.delay_wrong_key().await {
            return envelope::too_many_wrong_keys();
        }
        let page = sign_in_page(&connect.site, Some("That is none of the gateway’s keys."));
        return (StatusCode::UNAUTHORIZED, page).into_response();
    };
    match Visitor::sign_in(fingerprint, &key, None) {
        Ok(visitor) => with_cookie(&connect, &visitor.cookie(&connect.sealer)),
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
    with_cookie(&connect, &Visitor::sign_out(&connect.sealer))
}

fn with_cookie(connect: &Connect, cookie: &str) -> Response {
    let mut response = Redirect::to(&connect.site.path("/connect")).into_response();
    add_cookie(&mut response, cookie);
    response
}

pub(crate) fn add_cookie(response: &mut Response, cookie: &str) {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, value);
    }
}

pub(crate) fn foreign(site: &Site) -> Response {
    let message = format!(
        "the form was not sent by a page of {}: open that page. If the browser shows another address, set \
         GATEWAY_PUBLIC_URL to it",
        site.address("/connect")
    );
    envelope::error(StatusCode::FORBIDDEN, "restricted_resource", &message)
}
