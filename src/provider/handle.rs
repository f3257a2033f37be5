use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;
use url::Url;

use super::{
    NotionAuthProviderBuilder, Session, lookup::Lookup, registry::EntryHandle, shared::Shared,
    unauthorized::Unauthorized,
};
#[cfg(feature = "routes")]
use crate::routes::NotionOAuthServiceBuilder;
use crate::{
    cache::Fence,
    credentials::{InvalidToken, NotionUserCredentials},
    error::AuthError,
    oauth::OAuthFlow,
    refresh::{Engine, Goal, Grant, Trigger},
    store::Found,
    subject::{ExplicitCredentials, Mode, Subject},
};

/// Stores the credentials of subjects, refreshes them, and returns their access tokens.
///
/// It is a handle, and clones share everything. A [`NotionAuthLayer`](crate::NotionAuthLayer) uses it for requests of a
/// Tower service. For another HTTP client or SDK, call it directly:
///
/// ```
/// # use notion_auth::{testing, Subject};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let notion = testing::MockNotion::start().await?;
/// # let provider = notion.provider_builder()?.build()?;
/// # let subject = Subject::new("ann");
/// # provider.store_credentials(&subject, notion.connect()).await?;
/// let acquired = provider.acquire(&subject).await?;
/// // … send a request with `acquired.authorization()`. If the response is 401:
/// let newer = provider.refused(&subject, &acquired).await?;
/// assert!(newer.generation() > acquired.generation());
/// # Ok(()) }
/// ```
///
/// Futures of this type may be dropped at any time. A refresh that was started continues and is saved. A store operation
/// takes effect as a whole or not at all.
#[derive(Clone)]
pub struct NotionAuthProvider {
    shared: Arc<Shared>,
}

/// An access token that can be used now.
#[derive(Clone)]
pub struct Acquired {
    authorization: HeaderValue,
    /// `None` for the integration token.
    stored: Option<(Fence, EntryHandle)>,
}

impl NotionAuthProvider {
    /// Builds a provider from the environment, with a [`MemoryStore`](crate::MemoryStore).
    ///
    /// | environment | requests use |
    /// |---|---|
    /// | `NOTION_TOKEN` | the integration token |
    /// | `NOTION_CLIENT_ID` and `NOTION_CLIENT_SECRET` | the credentials of their [`Subject`] |
    /// | all of them | the credentials of their [`Subject`]; with [`UseIntegrationToken`](crate::UseIntegrationToken), the integration token |
    ///
    /// `NOTION_API_URL` replaces `https://api.notion.com`. [`NotionAppCredentials`](crate::NotionAppCredentials) lists
    /// the other variables. An empty variable is not set.
    ///
    /// # Errors
    /// When neither a token nor an OAuth client is set, or a variable's value can't be used. The error names the
    /// variable.
    pub fn from_env() -> Result<Self, AuthError> {
        Self::builder_from_env()?.build()
    }

    /// Returns a builder with the app's credentials and the API's URL of the environment, as
    /// [`from_env`](Self::from_env) reads them.
    ///
    /// # Errors
    /// When a variable's value can't be used. The error names the variable.
    pub fn builder_from_env() -> Result<NotionAuthProviderBuilder, AuthError> {
        Ok(NotionAuthProviderBuilder::from_env()?)
    }

    /// Returns a builder with the defaults. It needs [`app`](NotionAuthProviderBuilder::app).
    pub fn builder() -> NotionAuthProviderBuilder {
        NotionAuthProviderBuilder::new()
    }

    /// Returns a session, whose requests use this subject's credentials.
    pub fn session(&self, subject: impl Into<Subject>) -> Session {
        Session::of_subject(self.clone(), subject.into())
    }

    /// Returns a session whose requests use these credentials as they are: not stored, and not refreshed.
    ///
    /// # Errors
    /// If the access token is not a valid header value, or its type is not bearer.
    pub fn with_credentials(
        &self,
        credentials: &NotionUserCredentials,
    ) -> Result<Session, InvalidToken> {
        let authorization = credentials.to_header_value()?;
        let explicit = ExplicitCredentials::from_authorization(authorization);
        Ok(Session::of_credentials(self.clone(), explicit))
    }

    /// Returns a builder of the routes by which users connect their workspaces.
    ///
    /// Their cookies are encrypted with keys that are derived from the provider's.
    #[cfg(feature = "routes")]
    pub fn routes(&self) -> NotionOAuthServiceBuilder {
        NotionOAuthServiceBuilder::new(self.clone())
    }

    /// Returns the URL of an API path, such as `/v1/users/me`, for clients that need absolute URLs.
    ///
    /// ```
    /// # let notion = notion_auth::testing::MockNotion::in_process();
    /// # let provider = notion.provider_builder()?.api_url("https://api.notion.com").build()?;
    /// assert_eq!(provider.url("/v1/users/me").as_str(), "https://api.notion.com/v1/users/me");
    /// # Ok::<(), notion_auth::BoxError>(())
    /// ```
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.shared.api_url.clone();
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        url
    }

    pub(super) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// Returns the subject's access token: from the cache, from the store, or by a refresh if it has expired. An app
    /// without an OAuth client uses its integration token for every subject.
    ///
    /// # Errors
    /// As for a request through a refreshing layer, see [`AuthError`].
    pub async fn acquire(&self, subject: &Subject) -> Result<Acquired, AuthError> {
        let shared = &self.shared;
        if shared.has_only_integration_token() {
            return self.integration(AuthError::no_subject());
        }
        let granted = match shared.look_up(subject, Mode::Refreshing) {
            Lookup::Hit(grant) => Ok(grant),
            Lookup::Wait => shared.acquire(subject, Mode::Refreshing).await,
        };
        match granted {
            Ok(grant) => Ok(self.acquired(subject, grant)),
            Err(error) if error.is_not_connected() && shared.falls_back_to_integration_token => {
                self.integration(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Reports that Notion answered 401 to this token of the subject, and returns the token to use instead.
    ///
    /// Call it only for a 401 with an `x-notion-request-id` header. Any other 401 comes from a proxy: return it to the
    /// caller. Credentials without a refresh token need reauthorization after two such reports that are at least 30
    /// seconds, and at most an hour, apart.
    ///
    /// If the returned token has the same generation, there is no better one: return the 401 to the caller.
    ///
    /// # Errors
    /// As for a request through a refreshing layer, see [`AuthError`].
    pub async fn refused(
        &self,
        subject: &Subject,
        acquired: &Acquired,
    ) -> Result<Acquired, AuthError> {
        self.renewed(subject, acquired, Unauthorized::Identified)
            .await
    }

    pub(super) async fn renewed(
        &self,
        subject: &Subject,
        acquired: &Acquired,
        unauthorized: Unauthorized,
    ) -> Result<Acquired, AuthError> {
        let Some((fence, handle)) = acquired.stored else {
            return Ok(acquired.clone());
        };
        let renewed = self.shared.renewed(subject, fence, handle, unauthorized);
        Ok(self.acquired(subject, renewed.await?))
    }

    /// Refreshes the subject's credentials now, even if they have not expired.
    ///
    /// Concurrent calls share one refresh. Requests through the layer don't need it.
    ///
    /// # Errors
    /// See [`AuthError`]. Without a refresh token, the error has a reason in
    /// [`needs_reauthorization`](AuthError::needs_reauthorization), and the credentials do not change.
    pub async fn refresh(&self, subject: &Subject) -> Result<Acquired, AuthError> {
        let fence = match self.engine().cache.peek(subject) {
            Some(entry) => entry.cached.fence,
            None => match self.shared.wait(subject, Goal::Acquire).await {
                Ok(grant) => grant.fence,
                // A refresh may replace the token that cannot be sent.
                Err(error) if error.invalid_token().is_some() => {
                    match self.load(subject).await?.found {
                        Found::Record(record) => record.fence().into(),
                        Found::Absent | Found::Unreadable(_) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            },
        };
        let trigger = Trigger::Asked;
        let goal = Goal::Renew { fence, trigger };
        let grant = self.shared.wait(subject, goal).await?;
        Ok(self.acquired(subject, grant))
    }

    fn acquired(&self, subject: &Subject, grant: Grant) -> Acquired {
        let handle = self
            .shared
            .handle(Mode::Refreshing)
            .of(subject.seeded_hash(), grant.version);
        Acquired {
            authorization: grant.authorization,
            stored: Some((grant.fence, handle)),
        }
    }

    fn integration(&self, otherwise: AuthError) -> Result<Acquired, AuthError> {
        let token = self.shared.integration_token.as_ref().ok_or(otherwise)?;
        Ok(Acquired {
            authorization: token.clone(),
            stored: None,
        })
    }

    /// Returns the calls of Notion's OAuth endpoints for this app.
    #[must_use]
    pub fn oauth(&self) -> &OAuthFlow {
        &self.engine().oauth
    }

    /// Starts no more refreshes, and waits for those in progress and for connections that the routes are making.
    ///
    /// Tasks that outlast `deadline` continue for as long as the runtime lives. Cached tokens can still be used. Close the
    /// store, if at all, after this.
    ///
    /// # Errors
    /// If the deadline passes first.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), AuthError> {
        self.engine().brake.shut_down();
        let idle = {
            let runtime = self.engine().runtime()?;
            let _context = runtime.enter();
            tokio::time::timeout(deadline, self.engine().tasks.idle())
        };
        idle.await.map_err(|elapsed| {
            AuthError::transient("refreshes were still under way at the deadline")
                .with_source(elapsed)
        })
    }
}

impl Acquired {
    /// Returns the value of an `Authorization` header, marked as sensitive.
    #[must_use]
    pub fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// Returns the access token.
    #[must_use]
    pub fn expose(&self) -> &str {
        let value = self.authorization.to_str().unwrap_or_default();
        value.strip_prefix("Bearer ").unwrap_or_default()
    }

    /// Whether both have the same fencing token.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let fence = |it: &Self| it.stored.map(|(fence, _)| fence);
        fence(self) == fence(other)
    }

    /// Returns the generation of the record, or 0 for the integration token, which has no record.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.stored.map_or(0, |(fence, _)| fence.generation())
    }
}

impl fmt::Debug for Acquired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquired")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NotionAuthProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotionAuthProvider")
            .field("shared", &self.shared)
            .finish()
    }
}
