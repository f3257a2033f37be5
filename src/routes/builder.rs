use std::fmt;

use url::Url;

use super::{
    flow_cookie::FlowCookies,
    limits::ExchangeLimits,
    page::{Page, Renderer},
    return_to::{ReturnTargets, Target},
    service::{NotionOAuthService, ROUTES},
    state::Routes,
    subjects::{Namer, Subjects},
};
use crate::{
    credentials::{NotionUserCredentials, is_https_or_loopback},
    error::AuthError,
    provider::{Admission, NotionAuthProvider},
    subject::Subject,
};

/// Builds a [`NotionOAuthService`].
///
/// Made by [`NotionAuthProvider::routes`]. The app's redirect URI says where the routes are mounted.
#[must_use = "a builder does nothing until it is built"]
pub struct NotionOAuthServiceBuilder {
    provider: NotionAuthProvider,
    default: Option<String>,
    named: Vec<(String, String)>,
    mount: Option<String>,
    admission: Admission,
    namer: Option<Namer>,
    renderer: Option<Renderer>,
}

impl NotionOAuthServiceBuilder {
    pub(crate) fn new(provider: NotionAuthProvider) -> Self {
        Self {
            provider,
            default: None,
            named: Vec::new(),
            mount: None,
            admission: Admission::Any,
            namer: None,
            renderer: None,
        }
    }

    /// Sets where a browser goes after a flow without `return_to`: a path of this site, or a whole https URL. Default:
    /// `/`.
    pub fn default_return_target(mut self, target: impl Into<String>) -> Self {
        self.default = Some(target.into());
        self
    }

    /// Makes `?return_to=NAME` stand for a path of this site, or for a whole https URL.
    ///
    /// Without names, only plain paths of this site are accepted as `return_to`.
    pub fn return_target(mut self, name: impl Into<String>, target: impl Into<String>) -> Self {
        self.named.push((name.into(), target.into()));
        self
    }

    /// Sets the path of the routes as browsers see it, such as `/notion`, so that the redirect URI can be any path.
    /// Default: the redirect URI's path without `/callback`.
    ///
    /// The pages link to the routes under this path. The callback is answered at the path of the redirect URI, which you
    /// route to this service as well. Each path is recognized also if a router or a proxy has removed a prefix of it.
    ///
    /// ```
    /// # use notion_auth::{Keyring, testing::MockNotion};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notion = MockNotion::builder().redirect_uri("https://app.example/oauth/notion/done").in_process();
    /// # let provider = notion.provider_builder()?.keys(Keyring::random()).build()?;
    /// // NOTION_REDIRECT_URI=https://app.example/oauth/notion/done
    /// let routes = provider.routes().mount_path("/notion").build()?;
    /// let app: axum::Router = axum::Router::new()
    ///     .nest_service("/notion", routes.clone())
    ///     .route_service("/oauth/notion/done", routes);
    /// # Ok(()) }
    /// ```
    pub fn mount_path(mut self, path: impl Into<String>) -> Self {
        self.mount = Some(path.into());
        self
    }

    /// Refuses a reconnect by another Notion user, or of another workspace, and revokes its tokens at once. By default
    /// it is accepted, and reported as [`Event::IdentityChanged`](crate::Event::IdentityChanged).
    ///
    /// A `bot_id` or `workspace_id` that is missing on one side is not compared. After a disconnect, any user and
    /// workspace can be connected; so they can with
    /// [`AnotherIdentityConfirmed`](super::AnotherIdentityConfirmed) in the callback's extensions.
    pub fn refuse_another_identity(mut self) -> Self {
        self.admission = Admission::SameIdentity;
        self
    }

    /// Lets your application choose the subject of a new connection, when its workspace and user are known. Visitors who
    /// are not signed in can then connect as well: a sign-in with Notion.
    ///
    /// The function gets the subject that is signed in, if there is one, and the new credentials. If it returns `None`,
    /// the connection is refused and its tokens are revoked. It must not block or panic.
    ///
    /// The answer that completes the flow has [`Connected`](super::Connected) in its extensions. By it, your session
    /// layer around this service signs the browser in.
    ///
    /// Your application must guarantee two things:
    /// - Whatever a name is made of comes from Notion (`bot_id`, `workspace_id`, the owner's user id), never from a
    ///   request. Anyone who can authorize the app for a workspace gets that name. A workspace has many users: to tell
    ///   them apart, include the owner's user id.
    /// - A browser that is signed in by `Connected` gets a new session.
    ///
    /// If a visitor who is not signed in loads the callback twice (a double click), the browser may show the second
    /// answer, which has no `Connected`. Then the visitor has to start again.
    pub fn name_subject(
        mut self,
        name: impl Fn(Option<&Subject>, &NotionUserCredentials) -> Option<Subject>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.namer = Some(Box::new(name));
        self
    }

    /// Renders the pages with a function of your application.
    ///
    /// The contents of a page are not escaped, and some come from outside: use a template engine that escapes. Status
    /// and headers stay as they are, except that `Content-Security-Policy` then only forbids frames; add a stricter
    /// one. The function must not panic.
    pub fn renderer(
        mut self,
        render: impl Fn(&Page<'_>) -> String + Send + Sync + 'static,
    ) -> Self {
        self.renderer = Some(Box::new(render));
        self
    }

    /// Checks the settings and builds the service.
    ///
    /// # Errors
    /// When a setting is missing or invalid; [`AuthError::is_configuration`].
    pub fn build(self) -> Result<NotionOAuthService, AuthError> {
        let app = self.provider.oauth().app();
        if app.client_id().is_none() || app.client_secret().is_none() {
            return Err(AuthError::configuration(
                "the routes need an OAuth client: give the app a client id and a client secret \
                 (NOTION_CLIENT_ID, NOTION_CLIENT_SECRET)",
            ));
        }
        let redirect_uri = app.redirect_uri().and_then(|uri| Url::parse(uri).ok());
        let redirect_uri = redirect_uri
            .filter(|uri| is_https_or_loopback(uri) && uri.query().is_none())
            .ok_or_else(|| AuthError::configuration(REDIRECT_URI))?;
        let mount = mount(&redirect_uri, self.mount)?;
        let keys = self.provider.shared().keys.as_ref();
        let keys = keys.ok_or_else(|| AuthError::configuration(KEYS))?;
        let is_secure = redirect_uri.scheme() == "https";
        if !is_secure {
            tracing::warn!(
                "the redirect URI is http, for development: the cookies of flows are not `Secure`"
            );
        }
        Ok(NotionOAuthService::new(Routes {
            mount,
            callback: redirect_uri.path().to_owned(),
            origin: redirect_uri.origin(),
            cookies: FlowCookies::new(keys, is_secure),
            targets: targets(self.named, self.default)?,
            subjects: Subjects { namer: self.namer },
            limits: ExchangeLimits::new(),
            admission: self.admission,
            renderer: self.renderer,
            provider: self.provider,
        }))
    }
}

const REDIRECT_URI: &str = "the routes need a redirect URI (NOTION_REDIRECT_URI) without a query, such as \
    https://example.com/notion/callback: https, or http on this machine";
const NO_MOUNT_PATH: &str = "the path of the redirect URI (NOTION_REDIRECT_URI) doesn't end in `/callback`, \
    so it doesn't say where the routes are mounted: set `mount_path`";
const TWO_SLASHES: &str = "the path of the redirect URI (NOTION_REDIRECT_URI) begins with `//`, which \
    browsers take for the name of a host: register one with a single slash";
const TAKEN: &str = "the path of the redirect URI (NOTION_REDIRECT_URI) ends in `/authorize`, `/status` or \
    `/disconnect`, which are other routes: register another one";
const MOUNT_PATH: &str =
    "`mount_path` is not a plain path that begins with one slash, such as /notion";
const KEYS: &str = "the routes encrypt their cookies: call `keys(Keyring::from_env()?)` on the provider's builder \
    (NOTION_AUTH_KEYS), or `keys(Keyring::random())` for one process without a persistent store";

/// Returns the path before the names of the routes, without a slash at its end.
fn mount(redirect_uri: &Url, set: Option<String>) -> Result<String, AuthError> {
    let callback = redirect_uri.path();
    if callback.starts_with("//") {
        return Err(AuthError::configuration(TWO_SLASHES));
    }
    let last = callback.rsplit('/').next().unwrap_or_default();
    if ROUTES.contains(&last) {
        return Err(AuthError::configuration(TAKEN));
    }
    let Some(set) = set else {
        let mount = callback.strip_suffix("/callback");
        return mount
            .map(str::to_owned)
            .ok_or_else(|| AuthError::configuration(NO_MOUNT_PATH));
    };
    if Target::local(&set).is_none() || set.contains('?') {
        return Err(AuthError::configuration(MOUNT_PATH));
    }
    Ok(set.strip_suffix('/').unwrap_or(&set).to_owned())
}

fn targets(
    named: Vec<(String, String)>,
    default: Option<String>,
) -> Result<ReturnTargets, AuthError> {
    let parse = |target: String| {
        Target::configured(&target).ok_or_else(|| {
            AuthError::configuration(
                "a return target is neither a plain path such as /settings nor an https URL, or is \
                 longer than 512 bytes",
            )
        })
    };
    let mut targets = ReturnTargets::new();
    for (name, target) in named {
        if name.is_empty() || name.starts_with('/') {
            return Err(AuthError::configuration(
                "the name of a return target is empty or begins with a slash",
            ));
        }
        targets.insert(name, parse(target)?);
    }
    if let Some(target) = default {
        targets.set_default(parse(target)?);
    }
    Ok(targets)
}

impl fmt::Debug for NotionOAuthServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotionOAuthServiceBuilder")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}
