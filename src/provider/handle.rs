use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;

use super::{
    NotionAuthProviderBuilder, Session,
    lookup::Lookup,
    purpose::{Grant, Purpose, Why},
    shared::Shared,
};
use crate::{
    credentials::{InvalidToken, NotionUserCredentials},
    error::AuthError,
    oauth::OAuthFlow,
    subject::{ExplicitCredentials, Mode, Subject},
};

/// Knows which access token to send for every subject, keeps credentials in a store, and refreshes
/// them.
///
/// A handle: clones share everything. Put it into a [`NotionAuthLayer`](crate::NotionAuthLayer), or
/// ask it directly where another HTTP client or SDK sends the requests:
///
/// ```
/// # use notion_auth::{testing, Subject};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let notion = testing::MockNotion::start().await?;
/// # let provider = notion.provider_builder()?.build()?;
/// # let subject = Subject::new("ann");
/// # provider.store_credentials(&subject, notion.connect()).await?;
/// let acquired = provider.acquire(&subject).await?;
/// // … send a request with `acquired.authorization()`. If the answer is 401:
/// let newer = provider.refused(&subject, acquired.generation()).await?;
/// assert!(newer.generation() > acquired.generation());
/// # Ok(()) }
/// ```
///
/// Futures of this type may be dropped at any time. A refresh that was started goes on, and is
/// saved; a store operation is done whole or not at all.
#[derive(Clone)]
pub struct NotionAuthProvider {
    shared: Arc<Shared>,
}

/// An access token that can be used now.
#[derive(Clone)]
pub struct Acquired {
    authorization: HeaderValue,
    generation: u64,
}

impl NotionAuthProvider {
    /// A builder with the defaults.
    pub fn builder() -> NotionAuthProviderBuilder {
        NotionAuthProviderBuilder::new()
    }

    pub(super) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The subject's access token: from the cache, from the store, or by a refresh if it has
    /// expired.
    ///
    /// # Errors
    /// As for a request through a refreshing layer, see [`AuthError`].
    pub async fn acquire(&self, subject: &Subject) -> Result<Acquired, AuthError> {
        match self.shared.look_up(subject, Mode::Refreshing) {
            Lookup::Hit {
                authorization,
                generation,
                ..
            } => Ok(Acquired {
                authorization,
                generation,
            }),
            Lookup::Wait => {
                let grant = self.shared.acquire(subject, Mode::Refreshing).await;
                grant.map(Acquired::from)
            }
        }
    }

    /// Says that the API answered 401 to the subject's access token of this generation, and waits
    /// for what to use instead.
    ///
    /// If the answer is of the same generation, there is nothing newer, and a refresh made it so
    /// recently that another would not help: pass the 401 on.
    ///
    /// # Errors
    /// As for a request through a refreshing layer, see [`AuthError`].
    pub async fn refused(&self, subject: &Subject, generation: u64) -> Result<Acquired, AuthError> {
        let purpose = self.shared.refused(subject, generation, None);
        let grant = self.shared.wait(subject, purpose).await;
        grant.map(Acquired::from)
    }

    /// Refreshes the subject's credentials now, whatever is known of their expiry.
    ///
    /// Callers at the same time share one refresh. A request never needs this.
    ///
    /// # Errors
    /// See [`AuthError`]. Credentials without a refresh token answer
    /// [`needs_reauthorization`](AuthError::needs_reauthorization), and stay as they are.
    pub async fn refresh(&self, subject: &Subject) -> Result<Acquired, AuthError> {
        let generation = match self.shared.cache.peek(subject) {
            Some(stale) => stale.fresh.generation,
            None => {
                let load = self.shared.wait(subject, Purpose::Acquire).await?;
                load.generation
            }
        };
        let why = Why::Asked;
        let purpose = Purpose::Renew { generation, why };
        self.shared.wait(subject, purpose).await.map(Acquired::from)
    }

    /// The calls of Notion's OAuth endpoints for this app.
    #[must_use]
    pub fn oauth(&self) -> &OAuthFlow {
        &self.shared.oauth
    }

    /// A session whose requests are this subject's.
    pub fn session(&self, subject: impl Into<Subject>) -> Session {
        Session::of_subject(self.clone(), subject.into())
    }

    /// A session whose requests use these credentials as they are: they are not stored and not
    /// refreshed.
    ///
    /// # Errors
    /// When the access token has a character that no bearer token has.
    pub fn with_credentials(
        &self,
        credentials: &NotionUserCredentials,
    ) -> Result<Session, InvalidToken> {
        let explicit = ExplicitCredentials::new(&credentials.access_token)?;
        Ok(Session::of_credentials(self.clone(), explicit))
    }

    /// Starts no more refreshes, and waits up to `deadline` for those under way.
    ///
    /// What is still under way then goes on for as long as the runtime lives. Tokens that are in
    /// the cache can still be used.
    ///
    /// # Errors
    /// When the deadline passed first.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), AuthError> {
        self.shared.gate().is_shutting_down = true;
        tokio::time::timeout(deadline, self.shared.flights.all_landed())
            .await
            .map_err(|elapsed| {
                AuthError::transient("refreshes were still under way at the deadline")
                    .with_source(elapsed)
            })
    }
}

impl From<Grant> for Acquired {
    fn from(grant: Grant) -> Self {
        Self {
            authorization: grant.authorization,
            generation: grant.generation,
        }
    }
}

impl Acquired {
    /// The value of an `Authorization` header, marked as sensitive.
    #[must_use]
    pub fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// The access token itself.
    #[must_use]
    pub fn expose_token(&self) -> &str {
        let value = self.authorization.to_str().unwrap_or_default();
        value.strip_prefix("Bearer ").unwrap_or_default()
    }

    /// The generation of the record it is of: what to give to
    /// [`refused`](NotionAuthProvider::refused).
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl fmt::Debug for Acquired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquired")
            .field("generation", &self.generation)
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
