use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tokio::runtime::Handle;
use tower_service::Service;
use url::Url;

use super::{
    NotionAuthProvider, at_rest::AtRest, registry::ProviderId, shared::Shared, start::LastPurge,
};
#[cfg(feature = "encryption")]
use crate::keyring::Keyring;
use crate::{
    cache::Cache,
    clock::{Clock, SystemClock},
    credentials::{
        AccessToken, AppCredentialsError, NotionAppCredentials, api_url_from_env,
        is_https_or_loopback,
    },
    error::{AuthError, BoxError},
    event::{Events, Observer},
    oauth::{Endpoints, OAuthFlow, Transport},
    observe::Hits,
    refresh::{Brake, Engine, Failures, Issuers, Jitter, RefreshPolicy, Tasks},
    store::{CredentialStore, Issuer, MemoryStore, Outage, Records},
};
#[cfg(feature = "https")]
use crate::{https::HttpsConfig, oauth::HttpsTransport};

/// Builds a [`NotionAuthProvider`].
///
/// Only the app's credentials are required.
#[must_use = "a builder does nothing until it is built"]
pub struct NotionAuthProviderBuilder {
    app: Option<NotionAppCredentials>,
    store: Option<(Arc<dyn CredentialStore>, bool)>,
    pub(super) at_rest: AtRest,
    transport: Option<Transport>,
    #[cfg(feature = "https")]
    https: Option<HttpsConfig>,
    clock: Arc<dyn Clock>,
    policy: RefreshPolicy,
    falls_back: bool,
    cache_capacity: Option<usize>,
    namespace: String,
    observer: Option<Box<dyn Observer>>,
    runtime: Option<Handle>,
    api_url: Option<String>,
    revoke_url: Option<String>,
    introspect_url: Option<String>,
    jitter_seed: Option<u64>,
    adopts_other_issuers: bool,
    #[cfg(feature = "testing")]
    failpoint: Option<crate::refresh::FailpointHook>,
}

impl NotionAuthProviderBuilder {
    pub(super) fn from_env() -> Result<Self, AppCredentialsError> {
        let builder = Self::new().app(NotionAppCredentials::from_env()?);
        Ok(Self {
            api_url: api_url_from_env()?,
            ..builder
        })
    }

    pub(super) fn new() -> Self {
        Self {
            app: None,
            store: None,
            at_rest: AtRest::default(),
            transport: None,
            #[cfg(feature = "https")]
            https: None,
            clock: Arc::new(SystemClock),
            policy: RefreshPolicy::default(),
            falls_back: false,
            cache_capacity: Some(100_000),
            namespace: "notion".to_owned(),
            observer: None,
            runtime: None,
            api_url: None,
            revoke_url: None,
            introspect_url: None,
            jitter_seed: None,
            adopts_other_issuers: false,
            #[cfg(feature = "testing")]
            failpoint: None,
        }
    }

    /// Sets the application's credentials. Required.
    pub fn app(mut self, app: NotionAppCredentials) -> Self {
        self.app = Some(app);
        self
    }

    /// Sets the store of users' credentials. Default: a [`MemoryStore`], which loses them when the process ends.
    ///
    /// A store that outlives the process ([`is_persistent`](CredentialStore::is_persistent)) needs keys (`keys`, feature
    /// `encryption`), or [`plaintext_at_rest`](Self::plaintext_at_rest).
    pub fn store(mut self, store: impl CredentialStore) -> Self {
        let is_shared = !store.is_private();
        self.store = Some((Arc::new(store), is_shared));
        self
    }

    /// Encrypts credentials before they are given to the store (XChaCha20-Poly1305), with keys derived from these.
    ///
    /// The first key encrypts, and all keys decrypt. Each replica needs the same keys.
    /// [`rotate`](crate::NotionAuthProvider::rotate) describes how to change them.
    ///
    /// An encrypted record is bound to its namespace, subject, lineage, generation, OAuth client and token server. A
    /// record that was altered, copied from elsewhere or stored as plaintext is an error. Namespace, subject, state,
    /// workspace name, icon and id, bot id, client id, times and lease stay plaintext. A subject that is an e-mail
    /// address can be read in the database.
    ///
    /// A record that this process can't read is an error with the reason, and is not changed. So a key that is missing
    /// for a while causes no loss.
    #[cfg(feature = "encryption")]
    pub fn keys(mut self, keys: Keyring) -> Self {
        self.at_rest.keys = Some(keys);
        self
    }

    /// Lets a persistent store keep credentials as plaintext. Use it for a store that is encrypted by other means, and
    /// that only this application can read.
    ///
    /// Together with keys (`keys`), plaintext records are still read, and every write is encrypted. To encrypt an
    /// existing store:
    ///
    /// 1. Deploy the keys and this call to all replicas. A replica without the keys can't read records that others have
    ///    encrypted. It returns errors until it has the keys, and loses nothing.
    /// 2. Call `rotate` until it has gone through all records and left none pending.
    /// 3. Remove this call. Until then, anyone who can write to the store can insert credentials.
    pub fn plaintext_at_rest(mut self) -> Self {
        self.at_rest.plaintext = true;
        self
    }

    /// Sets the service that sends requests to the OAuth endpoints. Default, with the feature `https`: a new TLS
    /// connection for each call.
    ///
    /// It must follow no redirects, retry nothing, and keep no idle connections. If it knows that a request was not
    /// sent, its error contains [`NotSent`](crate::oauth::NotSent).
    pub fn transport<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        self.transport = Some(Transport::new(service));
        self
    }

    /// Sets the root certificates and proxies of the built-in transport. Default: those of the environment.
    ///
    /// Use the same for the client of API calls: [`HttpsConfig::client`].
    #[cfg(feature = "https")]
    pub fn https(mut self, config: HttpsConfig) -> Self {
        self.https = Some(config);
        self
    }

    /// Sets the clock. Default: the system's clocks.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets when credentials are refreshed, and how long requests wait for that.
    pub fn refresh_policy(mut self, policy: RefreshPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the approximate maximum number of cached subjects. Default: 100,000, at about 240 bytes each.
    ///
    /// The cache may hold an eighth more, and more than that for small numbers (301 for 100). Least recently used entries
    /// are evicted, and read from the store again on demand.
    pub fn cache_capacity(mut self, subjects: usize) -> Self {
        self.cache_capacity = Some(subjects);
        self
    }

    /// Caches the tokens of all subjects, without a maximum. Memory grows with their number and is not freed, so a client
    /// that can choose subjects can exhaust it.
    pub fn unbounded_cache(mut self) -> Self {
        self.cache_capacity = None;
        self
    }

    /// Lets requests without a subject, and subjects without credentials, use the integration token although the app has
    /// an OAuth client.
    ///
    /// By default, each such request needs the extension [`UseIntegrationToken`](crate::UseIntegrationToken), because a
    /// lost subject must not silently change the identity.
    pub fn fall_back_to_integration_token(mut self) -> Self {
        self.falls_back = true;
        self
    }

    /// Sets the namespace of this application's records in a shared store. Default: `notion`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the observer that receives each [`Event`](super::Event).
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Sets the runtime that loads and refreshes credentials. Default: that of the request which needs them.
    ///
    /// If requests run on short-lived runtimes, set one that lives as long as the process, because a refresh ends with
    /// its runtime.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Sets the origin of Notion's API, which is the only destination that gets tokens. Default:
    /// `https://api.notion.com`.
    ///
    /// It must be https, or http on this machine (`localhost`, 127.0.0.0/8, `[::1]`).
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.api_url = Some(url.into());
        self
    }

    /// Sets the revocation endpoint. Default: `revoke` beside the token URL.
    pub fn revoke_url(mut self, url: impl Into<String>) -> Self {
        self.revoke_url = Some(url.into());
        self
    }

    /// Sets the introspection endpoint. Default: `introspect` beside the token URL.
    pub fn introspect_url(mut self, url: impl Into<String>) -> Self {
        self.introspect_url = Some(url.into());
        self
    }

    /// Makes random delays the same in every run, for repeatable tests.
    #[cfg(feature = "testing")]
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Stops refresh tasks at their failpoints, for tests.
    ///
    /// A task continues when the future that `hook` returns is ready. A future that is never ready simulates a process
    /// that died at this step.
    #[cfg(feature = "testing")]
    pub fn failpoint<F>(
        mut self,
        hook: impl Fn(super::Failpoint) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.failpoint = Some(Box::new(move |failpoint| Box::pin(hook(failpoint))));
        self
    }

    /// Takes over credentials that another OAuth client or token server issued, as after a migration.
    ///
    /// Without this such credentials are an error: two deployments that share a store by mistake would end each
    /// other's connections.
    pub fn adopt_other_issuers(mut self) -> Self {
        self.adopts_other_issuers = true;
        self
    }

    /// Builds the provider. The store is neither prepared nor checked; [`start`](Self::start) does both.
    ///
    /// # Errors
    /// If a setting is missing or not valid; [`AuthError::is_configuration`].
    pub fn build(self) -> Result<NotionAuthProvider, AuthError> {
        let app = self.app.ok_or_else(|| {
            AuthError::configuration(
                "the provider needs app credentials: call `app` on its builder",
            )
        })?;
        if app.token().is_none() && !app.has_oauth_client() {
            return Err(AuthError::configuration(NO_CREDENTIALS));
        }
        self.policy.timings.check()?;
        let api_url = self.api_url.as_deref().unwrap_or(NOTION);
        let api_url = parse_url(api_url, API_URL)
            .ok()
            .filter(|url| url.path() == "/" && url.query().is_none())
            .ok_or_else(|| AuthError::configuration(API_URL))?;
        let revoke = self.revoke_url.map(|url| parse_url(&url, REVOKE_URL));
        let introspect = self
            .introspect_url
            .map(|url| parse_url(&url, INTROSPECT_URL));
        let endpoints = Endpoints {
            revoke: revoke.transpose()?,
            introspect: introspect.transpose()?,
        };
        let version = HeaderValue::from_str(app.version())
            .map_err(|_| AuthError::configuration("the app's version is not a date"))?;
        let integration_token = app.token().map(AccessToken::to_header_value);
        let integration_token = integration_token.transpose()?;
        let has_oauth_client = app.has_oauth_client();
        let issuer = app.client_id().map(|client_id| Issuer {
            client_id: client_id.to_owned(),
            token_origin: app.token_url().origin().ascii_serialization(),
        });
        // Checked by `health`; a transport of the application's is its own to check.
        #[cfg(feature = "https")]
        let built_in = match self.transport {
            Some(_) => None,
            None => Some(HttpsTransport::connector(&self.https.unwrap_or_default())),
        };
        #[cfg(feature = "https")]
        let transport = match &built_in {
            Some(connector) => Some(Transport::new(HttpsTransport::new(connector.clone()))),
            None => self.transport,
        };
        #[cfg(not(feature = "https"))]
        let transport = self.transport;
        let oauth = OAuthFlow::new(
            app,
            endpoints,
            transport,
            Arc::clone(&self.clock),
            self.policy.timings.call,
        );
        let (store, store_is_shared) = self.store.unwrap_or_else(|| {
            let store = MemoryStore::with_clock(Arc::clone(&self.clock));
            (Arc::new(store) as Arc<dyn CredentialStore>, false)
        });
        let records = Records {
            encryption: self.at_rest.encryption(&*store)?,
            store,
            namespace: self.namespace.into(),
            deadline: self.policy.timings.save,
            runtime: self.runtime.clone(),
            outage: Outage::default(),
        };
        let engine = Engine {
            records,
            store_is_shared,
            cache: Cache::new(self.cache_capacity),
            oauth,
            issuers: Issuers {
                own: issuer,
                adopts_others: self.adopts_other_issuers,
            },
            policy: self.policy,
            clock: self.clock,
            jitter: Jitter::new(self.jitter_seed),
            tasks: Tasks::new(),
            failures: Failures::default(),
            brake: Brake::default(),
            events: Events {
                observer: self.observer,
            },
            runtime: self.runtime,
            #[cfg(feature = "testing")]
            failpoint: self.failpoint,
        };
        let id = ProviderId::next();
        let shared = Arc::new(Shared {
            id,
            engine: Arc::new(engine),
            api_url,
            version: as_static(version),
            falls_back_to_integration_token: self.falls_back
                || (!has_oauth_client && integration_token.is_some()),
            integration_token,
            has_oauth_client,
            #[cfg(feature = "https")]
            built_in,
            last_purge: LastPurge::default(),
            #[cfg(feature = "routes")]
            keys: self.at_rest.keys,
            hits: Hits::new(),
        });
        id.register(&shared);
        Ok(NotionAuthProvider::from_shared(shared))
    }
}

const NOTION: &str = "https://api.notion.com";
const NO_CREDENTIALS: &str = "the app has neither an integration token nor an OAuth client: set \
    NOTION_TOKEN, or NOTION_CLIENT_ID, NOTION_CLIENT_SECRET and NOTION_REDIRECT_URI";
const API_URL: &str = "api_url (NOTION_API_URL): expected the origin of Notion's API, such as \
    https://api.notion.com: https, or http on this machine, without path or user name";
const REVOKE_URL: &str = "revoke_url: expected an absolute https URL, or http on this machine";
const INTROSPECT_URL: &str =
    "introspect_url: expected an absolute https URL, or http on this machine";

fn parse_url(text: &str, problem: &'static str) -> Result<Url, AuthError> {
    Url::parse(text)
        .ok()
        .filter(|url| {
            is_https_or_loopback(url)
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        })
        .ok_or_else(|| AuthError::configuration(problem))
}

/// A version that is known at compile time is copied for a request without counting a reference,
/// for which threads would contend.
fn as_static(version: HeaderValue) -> HeaderValue {
    const KNOWN: [&str; 7] = [
        "2021-05-11",
        "2021-05-13",
        "2021-08-16",
        "2022-02-22",
        "2022-06-28",
        "2025-09-03",
        "2026-03-11",
    ];
    KNOWN
        .into_iter()
        .find(|known| version == known)
        .map_or(version, HeaderValue::from_static)
}

impl fmt::Debug for NotionAuthProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotionAuthProviderBuilder")
            .field("app", &self.app)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
