use std::fmt;

use url::Url;

use super::{
    flow_cookie::FlowCookies,
    page::{Page, Renderer},
    return_to::{ReturnTargets, Target},
    service::NotionOAuthService,
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
    named: Vec<(String, String)>,
    default: Option<String>,
    namer: Option<Namer>,
    admission: Admission,
    renderer: Option<Renderer>,
}

impl NotionAuthProvider {
    /// Returns a builder of the routes by which users connect their workspaces.
    ///
    /// Their cookies are encrypted with keys that are derived from the provider's.
    pub fn routes(&self) -> NotionOAuthServiceBuilder {
        NotionOAuthServiceBuilder::new(self.clone())
    }
}

impl NotionOAuthServiceBuilder {
    fn new(provider: NotionAuthProvider) -> Self {
        Self {
            provider,
            named: Vec::new(),
            default: None,
            namer: None,
            admission: Admission::Any,
            renderer: None,
        }
    }

    /// Lets `?return_to=NAME` stand for a place: a path of this site, or a whole https URL.
    ///
    /// Without a name, only plain paths of this site are taken.
    pub fn return_target(mut self, name: impl Into<String>, target: impl Into<String>) -> Self {
        self.named.push((name.into(), target.into()));
        self
    }

    /// Where a browser goes that was told no `return_to`. Default: `/`.
    pub fn default_return_target(mut self, target: impl Into<String>) -> Self {
        self.default = Some(target.into());
        self
    }

    /// Lets the host say whose a new connection is, when it is known which workspace it is of, and lets
    /// visitors connect who are not signed in: a first sign-in with Notion. The first argument is who is
    /// signed in, if anybody is; `None` refuses the connection, whose tokens are then revoked.
    ///
    /// The answer that completes the flow carries [`Connected`](super::Connected) in its extensions,
    /// by which the host's session layer, outside of this service, signs the browser in.
    ///
    /// The host must then guarantee two things. A name that it makes of what Notion says must have come
    /// from Notion (`bot_id`, `workspace_id`, the owner's user id), never from a request; and since
    /// whoever can authorize the app for that workspace becomes that subject, the name must tell apart
    /// whom the host tells apart: a workspace has many users, so name a person's subject by the owner's
    /// user id too. And it gives the browser a new session when it signs it in.
    ///
    /// Who is not signed in and loads the callback twice, by a double click, may be shown the second
    /// answer, which signs nobody in: the visitor starts again. The function must not block or panic.
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

    /// Refuses a reconnect by another Notion user, or of another workspace, than the subject's
    /// connection has; its tokens are revoked at once. What either side does not say (`bot_id`,
    /// `workspace_id`) is not compared, and after a disconnect anybody may connect. Default: it is accepted, and told as
    /// [`Event::IdentityChanged`](crate::Event::IdentityChanged).
    pub fn refuse_another_identity(mut self) -> Self {
        self.admission = Admission::SameIdentity;
        self
    }

    /// Makes the HTML of the pages in the host's own style. Status, `Cache-Control` and the other
    /// headers stay; the `Content-Security-Policy` then only forbids frames, and a stricter one is the
    /// host's to add. What is on a page is not escaped, and some of it comes from outside: use a template
    /// engine that escapes. It must not panic.
    pub fn renderer(
        mut self,
        render: impl Fn(&Page<'_>) -> String + Send + Sync + 'static,
    ) -> Self {
        self.renderer = Some(Box::new(render));
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// When something is missing or cannot be; [`AuthError::is_configuration`].
    pub fn build(self) -> Result<NotionOAuthService, AuthError> {
        let app = self.provider.oauth().app();
        if !app.has_oauth_client() {
            return Err(AuthError::configuration(
                "the routes need an OAuth client: give the app a client id and a client secret \
                 (NOTION_CLIENT_ID, NOTION_CLIENT_SECRET)",
            ));
        }
        let redirect_uri = app.redirect_uri().and_then(|uri| Url::parse(uri).ok());
        let redirect_uri = redirect_uri
            .filter(is_https_or_loopback)
            .ok_or_else(|| AuthError::configuration(REDIRECT_URI))?;
        let mount = redirect_uri
            .path()
            .strip_suffix("/callback")
            .filter(|_| redirect_uri.query().is_none())
            .ok_or_else(|| AuthError::configuration(REDIRECT_URI))?
            .to_owned();
        let keys = self.provider.shared().keys.as_ref();
        let keys = keys.ok_or_else(|| AuthError::configuration(KEYS))?;
        let is_secure = redirect_uri.scheme() == "https";
        if !is_secure {
            tracing::warn!(
                "the redirect URI is http: flow cookies are not `Secure`, which is for development \
                 on this machine only"
            );
        }
        Ok(NotionOAuthService::new(Routes {
            mount,
            origin: redirect_uri.origin(),
            cookies: FlowCookies::new(keys, is_secure),
            targets: targets(self.named, self.default)?,
            subjects: Subjects { namer: self.namer },
            admission: self.admission,
            renderer: self.renderer,
            provider: self.provider,
        }))
    }
}

const REDIRECT_URI: &str = "the routes need a redirect URI (NOTION_REDIRECT_URI) whose path ends in \
    `/callback`, such as https://example.com/notion/callback: https, or http on this machine; the \
    routes are mounted at the path before it";
const KEYS: &str = "the routes encrypt their cookies: call `keys(Keyring::from_env()?)` on the provider's builder \
    (NOTION_AUTH_KEYS), or `keys(Keyring::random())` for one process without a persistent store";

fn targets(
    named: Vec<(String, String)>,
    default: Option<String>,
) -> Result<ReturnTargets, AuthError> {
    let parse = |target: String| {
        Target::of_host(&target).ok_or_else(|| {
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
