//! The application's operations on connections: status, list, disconnect, reinstate.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::NotionAuthProvider;
#[cfg(feature = "https")]
use crate::https::ConnectError;
use crate::{
    credentials::{InvalidToken, NotionUserCredentials},
    error::AuthError,
    event::Event,
    oauth::OAuthError,
    refresh::Engine,
    store::{
        AttemptId, Changed, FencingToken, Found, Lineage, ListQuery, Metadata, Record, RecordState,
        Replaced, Snapshot, StoreError,
    },
    subject::Subject,
};

/// A connection, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStatus {
    /// The subject of the connection.
    pub subject: Subject,
    /// Whether it can be used.
    pub state: RecordState,
    /// Why the access token can't be sent although the connection is active. Only
    /// [`status`](NotionAuthProvider::status) decrypts it; in a list it is `None`.
    pub invalid_token: Option<InvalidToken>,
    /// Identifies the grant: each connect has a new lineage. `None` for a record that can't be read.
    pub lineage: Option<Lineage>,
    /// How often the credentials were refreshed, plus one.
    pub generation: u64,
    /// The workspace's id.
    pub workspace_id: Option<String>,
    /// The workspace's name.
    pub workspace_name: Option<String>,
    /// The workspace's icon: a URL or an emoji.
    pub workspace_icon: Option<String>,
    /// Name or e-mail address of the Notion user who connected. Only [`status`](NotionAuthProvider::status) decrypts
    /// it; in a list it is `None`.
    pub account: Option<String>,
    /// Notion's ID of the connection: its bot.
    pub bot_id: Option<String>,
    /// When the user connected, UTC.
    pub connected_at: Option<SystemTime>,
    /// When the credentials were refreshed last, UTC.
    pub refreshed_at: Option<SystemTime>,
    /// When the credentials or the state changed last, UTC.
    pub updated_at: Option<SystemTime>,
}

impl ConnectionStatus {
    fn of(subject: Subject, record: Record) -> Self {
        let Metadata {
            workspace_id,
            workspace_name,
            workspace_icon,
            bot_id,
        } = record.metadata;
        Self {
            subject,
            state: record.state,
            invalid_token: None,
            lineage: Some(record.lineage),
            generation: record.generation,
            workspace_id,
            workspace_name,
            workspace_icon,
            account: None,
            bot_id,
            connected_at: Some(record.connected_at),
            refreshed_at: record.refreshed_at,
            updated_at: Some(record.updated_at),
        }
    }

    fn unreadable(subject: Subject) -> Self {
        Self {
            subject,
            state: RecordState::Unreadable,
            invalid_token: None,
            lineage: None,
            generation: 0,
            workspace_id: None,
            workspace_name: None,
            workspace_icon: None,
            account: None,
            bot_id: None,
            connected_at: None,
            refreshed_at: None,
            updated_at: None,
        }
    }
}

/// Outcome of the revocation when a connection is ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Revocation {
    /// Notion has revoked them.
    Done,
    /// There was no connection.
    NothingToRevoke,
    /// Notion was not reached, or refused the call. The tokens are deleted here, but may stay valid until the user
    /// removes the connection in Notion.
    Failed(OAuthError),
    /// The stored tokens could not be read, for example because a key is missing here. They are deleted, but may stay
    /// valid until the user removes the connection in Notion.
    Unreadable(AuthError),
}

/// How often a change is tried if other changes conflict with it.
pub(super) const TRIES: u32 = 16;

impl NotionAuthProvider {
    /// Returns the subject's stored credentials, tokens included; `None` if there are none that can be used.
    ///
    /// # Errors
    /// If the store fails, or the record can't be read. The source has the reason, and what to do.
    pub async fn load_credentials(
        &self,
        subject: &Subject,
    ) -> Result<Option<NotionUserCredentials>, AuthError> {
        match self.load(subject).await?.found {
            Found::Record(record) if record.state == RecordState::Active => {
                let decrypted = self.engine().records.decrypt(subject, &record);
                decrypted
                    .map(Some)
                    .map_err(|cause| AuthError::unreadable(cause).with_subject(subject))
            }
            Found::Unreadable(reason) => {
                let cause = self.engine().records.unreadable(reason);
                Err(AuthError::unreadable(cause).with_subject(subject))
            }
            Found::Absent | Found::Record(_) => Ok(None),
        }
    }

    /// Deletes the subject's credentials here. The tokens stay valid at Notion. To revoke them too, use
    /// [`disconnect`](Self::disconnect).
    ///
    /// The tokens that a refresh in progress obtains are revoked.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_credentials(&self, subject: &Subject) -> Result<(), AuthError> {
        let written = self.write_tombstone(subject).await;
        written.map(drop).map_err(|it| it.error)
    }

    /// Ends the subject's connection: deletes its tokens here, then revokes them at Notion, in up to three tries.
    ///
    /// A refresh in progress can't restore them, and the tokens that it obtains are revoked. A second call does nothing.
    /// Tokens that another OAuth client or token server issued are deleted and not revoked.
    ///
    /// A background task does this, and [`shutdown`](Self::shutdown) waits for it. Dropping the future does not stop it.
    ///
    /// # Errors
    /// If the store fails. The connection is then unchanged or ended. If it was ended, its tokens are revoked when the
    /// store answers again.
    pub async fn disconnect(&self, subject: &Subject) -> Result<Revocation, AuthError> {
        let tracked = self.engine().tasks.track();
        let (provider, ended) = (self.clone(), subject.clone());
        let task = self.engine().runtime()?.spawn(async move {
            let _tracked = tracked;
            provider.end_connection(&ended).await
        });
        task.await.unwrap_or_else(|error| {
            let error =
                AuthError::transient("the disconnect was cut off; try again").with_source(error);
            Err(error.with_subject(subject))
        })
    }

    async fn end_connection(&self, subject: &Subject) -> Result<Revocation, AuthError> {
        let engine = self.engine();
        let ended = match self.write_tombstone(subject).await {
            Ok(ended) => ended,
            Err(NotWritten { error, unknown }) => {
                if let Some((seen, attempt)) = unknown {
                    let revoking =
                        revoke_once_written(Arc::clone(engine), subject.clone(), *seen, attempt);
                    engine.runtime()?.spawn(revoking);
                }
                return Err(error);
            }
        };
        let mut revocation = Revocation::NothingToRevoke;
        for seen in ended {
            let one = revoke(engine, subject, &seen).await;
            if !matches!(
                revocation,
                Revocation::Failed(_) | Revocation::Unreadable(_)
            ) {
                revocation = one;
            }
        }
        Ok(revocation)
    }

    /// Returns the subject's connection as it is stored, or `None` if there is none or it was ended.
    ///
    /// A record that can't be read has the state [`Unreadable`](RecordState::Unreadable), and the error of
    /// [`load_credentials`](Self::load_credentials) has the reason. A token that can't be sent does not change the
    /// state; see [`invalid_token`](ConnectionStatus::invalid_token).
    ///
    /// # Errors
    /// When the store fails.
    pub async fn status(&self, subject: &Subject) -> Result<Option<ConnectionStatus>, AuthError> {
        let record = match self.load(subject).await?.found {
            Found::Record(record) if record.state != RecordState::Disconnected => record,
            Found::Unreadable(_) => {
                return Ok(Some(ConnectionStatus::unreadable(subject.clone())));
            }
            Found::Absent | Found::Record(_) => return Ok(None),
        };
        let decrypted = self.engine().records.decrypt(subject, &record);
        let mut status = ConnectionStatus::of(subject.clone(), *record);
        let is_active = status.state == RecordState::Active;
        match decrypted {
            Ok(credentials) => {
                status.account = credentials.account().map(str::to_owned);
                if is_active {
                    status.invalid_token = credentials.to_header_value().err();
                }
            }
            Err(_) if is_active => status.state = RecordState::Unreadable,
            Err(_) => {}
        }
        Ok(Some(status))
    }

    /// Returns the connections that match the query, in the byte order of their subjects.
    ///
    /// The states are those that were noticed last. If a user removes the integration at Notion, the connection is listed
    /// as active until a refresh fails. [`check`](Self::check) asks Notion about one subject.
    ///
    /// Nothing is decrypted. A record that no key decrypts is therefore listed in its stored state, while
    /// [`status`](Self::status) returns it as unreadable.
    ///
    /// ```
    /// # use notion_auth::{store::{Filter, ListQuery}, testing::MockNotion};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = MockNotion::in_process().provider_builder()?.build()?;
    /// let mut query = ListQuery::default().filter(Filter::NeedsReauthorization);
    /// loop {
    ///     let page = provider.list(&query).await?;
    ///     for it in &page {
    ///         println!("{} {} {:?}", it.subject.as_str(), it.state.code(), it.refreshed_at);
    ///     }
    ///     let Some(last) = page.last() else { break };
    ///     query = query.after(last.subject.clone());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, query: &ListQuery) -> Result<Vec<ConnectionStatus>, AuthError> {
        let listed = self.engine().records.list(query).await;
        let listed = listed.map_err(StoreError::into_auth_error)?;
        Ok(listed
            .into_iter()
            .map(|it| match it.record {
                Ok(record) => ConnectionStatus::of(it.subject, record),
                Err(_) => ConnectionStatus::unreadable(it.subject),
            })
            .collect())
    }

    /// Makes credentials active again that were marked as needing reauthorization. Returns whether they are active now.
    ///
    /// Use it if you know that the mark is wrong, for example because Notion refused a wrong configuration. `lineage` and
    /// `generation` are those of [`status`](Self::status), [`list`](Self::list) or [`Event::NeedsReauthorization`].
    /// Credentials that were connected or refreshed since then do not change.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use notion_auth::{ReauthorizationReason, store::{Filter, ListQuery, RecordState}, testing::MockNotion};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = MockNotion::in_process().provider_builder()?.build()?;
    /// // All that were marked as revoked in the last hour, page by page.
    /// let since = SystemTime::now() - Duration::from_secs(60 * 60);
    /// let revoked = RecordState::NeedsReauthorization(ReauthorizationReason::Revoked);
    /// let mut query = ListQuery::default().filter(Filter::NeedsReauthorization);
    /// loop {
    ///     let page = provider.list(&query).await?;
    ///     let Some(last) = page.last() else { break };
    ///     query = query.after(last.subject.clone());
    ///     for it in page {
    ///         if it.state == revoked && it.updated_at > Some(since) {
    ///             if let Some(lineage) = it.lineage {
    ///                 provider.reinstate(&it.subject, lineage, it.generation).await?;
    ///             }
    ///         }
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reinstate(
        &self,
        subject: &Subject,
        lineage: Lineage,
        generation: u64,
    ) -> Result<bool, AuthError> {
        let engine = self.engine();
        let fence = FencingToken {
            lineage,
            generation,
        };
        let change = engine.cache.begin_change(subject);
        let reinstated = engine.records.reinstate(subject, fence).await;
        change.end(None);
        if reinstated
            .as_ref()
            .map_or(true, |changed| *changed == Changed::Done)
        {
            engine.changed(subject);
        }
        match reinstated {
            Ok(changed) => Ok(changed == Changed::Done),
            Err(error) => Err(error.into_auth_error().with_subject(subject)),
        }
    }

    /// Removes expired records: tombstones after 24 hours, and nonces of connection flows. Returns their number. Call it
    /// about once an hour, unless the provider was built by [`start`](super::NotionAuthProviderBuilder::start).
    ///
    /// # Errors
    /// When the store fails.
    pub async fn purge_expired(&self) -> Result<u64, AuthError> {
        let purged = self.engine().records.purge_expired().await;
        purged.map_err(StoreError::into_auth_error)
    }

    /// Checks the store's settings for durability, and the settings of the built-in transport (`HttpsConfig`).
    ///
    /// Call it at the start, and as a readiness check. Nothing is sent to Notion.
    ///
    /// # Errors
    /// If the store is not reached or could lose writes, or if a variable for root certificates or proxies can't be used.
    pub async fn health(&self) -> Result<(), AuthError> {
        #[cfg(feature = "https")]
        self.check_connections().await?;
        let health = self.engine().records.health().await;
        health.map_err(StoreError::into_auth_error)
    }

    #[cfg(feature = "https")]
    async fn check_connections(&self) -> Result<(), AuthError> {
        let (shared, engine) = (self.shared(), self.engine());
        let Some(connector) = shared.built_in.clone() else {
            return Ok(());
        };
        let mut destinations = vec![shared.api_url.clone()];
        if shared.has_oauth_client {
            destinations.push(engine.oauth.app().token_url().clone());
        }
        let check = move || {
            let mut uris = destinations
                .iter()
                .filter_map(|it| it.as_str().parse().ok());
            uris.try_for_each(|uri| connector.check(&uri))
        };
        // Root certificates are read from files.
        let checked = match engine.runtime() {
            Ok(runtime) => runtime.spawn_blocking(check).await.map_err(|error| {
                AuthError::transient("the connections to Notion were not checked")
                    .with_source(error)
            })?,
            Err(_) => check(),
        };
        checked.map_err(ConnectError::into_auth_error)
    }

    pub(super) async fn load(&self, subject: &Subject) -> Result<Snapshot, AuthError> {
        let loaded = self.engine().records.load(subject).await;
        loaded.map_err(|error| error.into_auth_error().with_subject(subject))
    }

    /// Replaces the record by a tombstone. Returns the records that it replaced, none if there was no connection.
    async fn write_tombstone(&self, subject: &Subject) -> Result<Vec<Snapshot>, NotWritten> {
        let engine = self.engine();
        let change = engine.cache.begin_change(subject);
        let written = self.try_write_tombstone(subject).await;
        change.end(None);
        engine.changed(subject);
        if written.as_ref().is_ok_and(|ended| !ended.is_empty()) {
            engine.events.emit(Event::Disconnected {
                subject: subject.clone(),
            });
        }
        written
    }

    async fn try_write_tombstone(&self, subject: &Subject) -> Result<Vec<Snapshot>, NotWritten> {
        let mut ended = Vec::new();
        for _ in 0..TRIES {
            let seen = self.load(subject).await?;
            if !seen.is_connected() {
                return Ok(ended);
            }
            let attempt = AttemptId::random();
            match self
                .engine()
                .records
                .disconnect(subject, &seen, attempt)
                .await
            {
                Ok(Replaced::Done | Replaced::DoneAndChanged) => {
                    ended.push(seen);
                    return Ok(ended);
                }
                Ok(Replaced::Conflict) => {}
                // It may have been replaced, and the subject connected again since.
                Ok(Replaced::Unknown) => ended.push(seen),
                Err(error) => {
                    return Err(NotWritten {
                        error: error.into_auth_error().with_subject(subject),
                        unknown: Some((Box::new(seen), attempt)),
                    });
                }
            }
        }
        Err(contended(subject).into())
    }
}

/// A tombstone was not written, as far as is known.
struct NotWritten {
    error: AuthError,
    /// The records that it may have replaced all the same, and the attempt.
    unknown: Option<(Box<Snapshot>, AttemptId)>,
}

impl From<AuthError> for NotWritten {
    fn from(error: AuthError) -> Self {
        Self {
            error,
            unknown: None,
        }
    }
}

/// Revokes the tokens of a record that was replaced.
pub(super) async fn revoke(engine: &Engine, subject: &Subject, seen: &Snapshot) -> Revocation {
    const MAY_STAY: &str = "tokens were replaced or deleted here, and may stay valid at Notion";

    let records = &engine.records;
    let decrypted = match &seen.found {
        // Tokens are not sent to another server than the one that issued them.
        Found::Record(record) if engine.issuers.check(record).is_err() => {
            let foreign = "another OAuth client or token server issued the tokens, so they are not revoked here";
            tracing::warn!(?subject, "{MAY_STAY}: {foreign}");
            return Revocation::Failed(OAuthError::configuration(foreign));
        }
        Found::Record(record) => records.decrypt(subject, record),
        Found::Unreadable(reason) => Err(records.unreadable(*reason)),
        Found::Absent => return Revocation::NothingToRevoke,
    };
    match decrypted {
        Ok(credentials) => match engine.revoke(&credentials).await {
            Ok(()) => Revocation::Done,
            Err(error) => {
                tracing::warn!(%error, ?subject, "{MAY_STAY}");
                Revocation::Failed(error)
            }
        },
        Err(cause) => {
            tracing::warn!(error = %cause, ?subject, "{MAY_STAY}");
            Revocation::Unreadable(AuthError::unreadable(cause).with_subject(subject))
        }
    }
}

/// Waits until it is known whether a tombstone was written. If it was, revokes the tokens that it replaced.
async fn revoke_once_written(
    engine: Arc<Engine>,
    subject: Subject,
    seen: Snapshot,
    attempt: AttemptId,
) {
    let _tracked = engine.tasks.track();
    loop {
        let (low, high) = (Duration::from_secs(1), Duration::from_secs(5));
        engine.pause(engine.jitter.between(low, high)).await;
        if engine.brake.is_shutting_down() {
            tracing::warn!(
                ?subject,
                "it is not known whether a connection was ended, and its tokens stay valid"
            );
            return;
        }
        let Ok(current) = engine.records.load(&subject).await else {
            continue;
        };
        let is_ours = |record: &Record| record.committed_by == attempt;
        if current.record().is_some_and(is_ours) {
            engine.events.emit(Event::Disconnected {
                subject: subject.clone(),
            });
            revoke(&engine, &subject, &seen).await;
        }
        return;
    }
}

pub(super) fn contended(subject: &Subject) -> AuthError {
    AuthError::transient(
        "the credentials were changed by other processes again and again; try again",
    )
    .with_subject(subject)
}
