//! Connections as the application handles them: stored, looked at, ended.

use std::time::SystemTime;

use super::{Event, NotionAuthProvider};
#[cfg(feature = "https")]
use crate::https::ConnectError;
use crate::{
    credentials::{InvalidToken, NotionUserCredentials, ReauthorizationReason},
    error::AuthError,
    oauth::OAuthError,
    store::{
        AttemptId, Change, Expected, Filter, Labels, NewRecord, Payload, Record, RecordKey,
        RecordState, Saved, StoreError, Summary,
    },
    subject::Subject,
};

/// A connection, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStatus {
    /// Whether it can be used.
    pub state: RecordState,
    /// Why the access token cannot be sent although the connection is active.
    pub invalid_token: Option<InvalidToken>,
    /// The record's generation.
    pub generation: u64,
    /// The workspace's id.
    pub workspace_id: Option<String>,
    /// The workspace's name.
    pub workspace_name: Option<String>,
    /// The workspace's icon: a URL or an emoji.
    pub workspace_icon: Option<String>,
    /// When the user connected, UTC.
    pub connected_at: SystemTime,
    /// When the credentials were refreshed last, UTC.
    pub refreshed_at: Option<SystemTime>,
}

/// What became of the tokens of a connection that was ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Revocation {
    /// Notion has revoked them.
    Done,
    /// There was no connection any more.
    NothingToRevoke,
    /// Notion was not reached, or refused: the tokens are deleted here, but may still be good there
    /// until the user removes the connection in Notion.
    Failed(OAuthError),
    /// The stored tokens could not be read, as when a key is missing here: they are deleted, but may
    /// still be good at Notion until the user removes the connection there.
    Unreadable(AuthError),
}

/// What became of a save.
pub(super) enum Saving {
    /// It made this generation.
    Done(u64),
    /// Another change came between.
    Overtaken,
    /// Another change came between, or after it: an earlier try was not answered.
    Unknown,
}

/// How often a change is tried anew when another one came between.
pub(super) const TRIES: u32 = 16;

impl NotionAuthProvider {
    /// The subject's stored credentials, tokens included; `None` if there are none that can be used.
    ///
    /// # Errors
    /// When the store fails, or the record cannot be read: the cause says why, and what to do.
    pub async fn load_credentials(
        &self,
        subject: &Subject,
    ) -> Result<Option<NotionUserCredentials>, AuthError> {
        match self.load(subject).await? {
            Some(record) if record.state == RecordState::Active => {
                self.shared().open(subject, &record).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Forgets the subject's credentials. The tokens stay good at Notion; to end them too, use
    /// [`disconnect`](Self::disconnect).
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_credentials(&self, subject: &Subject) -> Result<(), AuthError> {
        for _ in 0..TRIES {
            match self.load(subject).await? {
                Some(record) if record.state != RecordState::Disconnected => {
                    if self.bury(subject, &record).await? {
                        return Ok(());
                    }
                }
                gone => {
                    self.forget(subject, gone.as_ref());
                    return Ok(());
                }
            }
        }
        Err(contended(subject))
    }

    /// Ends the subject's connection: revokes its tokens at Notion, then forgets them, also if they
    /// could not be revoked. A refresh under way is overruled, and what it obtains is revoked.
    ///
    /// Doing it again does nothing. If this future is dropped, the tokens may be revoked and not yet
    /// forgotten: call it again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn disconnect(&self, subject: &Subject) -> Result<Revocation, AuthError> {
        for _ in 0..TRIES {
            match self.load(subject).await? {
                Some(record) if record.state != RecordState::Disconnected => {
                    let revocation = self.revoke(subject, &record).await;
                    if self.bury(subject, &record).await? {
                        return Ok(revocation);
                    }
                }
                gone => {
                    self.forget(subject, gone.as_ref());
                    return Ok(Revocation::NothingToRevoke);
                }
            }
        }
        Err(contended(subject))
    }

    /// The subject's connection as it is stored; `None` if there never was one, or it was ended.
    ///
    /// If the stored record cannot be read, the state is [`Unreadable`](ReauthorizationReason::Unreadable);
    /// [`load_credentials`](Self::load_credentials) fails with the reason. A token that cannot be sent leaves
    /// the state as it is; see [`invalid_token`](ConnectionStatus::invalid_token).
    ///
    /// # Errors
    /// When the store fails.
    pub async fn status(&self, subject: &Subject) -> Result<Option<ConnectionStatus>, AuthError> {
        let Some(record) = self
            .load(subject)
            .await?
            .filter(|record| record.state != RecordState::Disconnected)
        else {
            return Ok(None);
        };
        let mut status = ConnectionStatus {
            state: record.state,
            invalid_token: None,
            generation: record.generation,
            workspace_id: None,
            workspace_name: record.labels.workspace_name.clone(),
            workspace_icon: None,
            connected_at: record.connected_at,
            refreshed_at: record.refreshed_at,
        };
        match self.shared().open(subject, &record) {
            Ok(credentials) => {
                if record.state == RecordState::Active {
                    status.invalid_token = credentials.to_header_value().err();
                }
                status.workspace_id = credentials.workspace_id;
                status.workspace_icon = credentials.workspace_icon;
            }
            Err(_) if record.state == RecordState::Active => {
                status.state = RecordState::NeedsReauthorization(ReauthorizationReason::Unreadable);
            }
            // It is over for another reason, whether or not it can be read.
            Err(_) => {}
        }
        Ok(Some(status))
    }

    /// Up to `limit` records of this provider's namespace, in the byte order of their subjects,
    /// behind `after`: the last one of the page before.
    ///
    /// It shows what the store keeps in clear, and opens nothing: a record of which
    /// [`status`](Self::status) says that it cannot be read is listed in the state that it is kept in.
    ///
    /// ```
    /// # use notion_auth::{store::Filter, testing::MockNotion};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = MockNotion::in_process().provider_builder()?.build()?;
    /// let mut after = None;
    /// loop {
    ///     let page = provider.list(Filter::NeedsReauthorization, after.as_ref(), 100).await?;
    ///     for it in &page {
    ///         let (who, state) = (it.subject.as_str(), it.state.code());
    ///         println!("{who} {state} {} {:?}", it.generation, it.refreshed_at);
    ///     }
    ///     let Some(last) = page.last() else { break };
    ///     after = Some(last.subject.clone());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        filter: Filter,
        after: Option<&Subject>,
        limit: usize,
    ) -> Result<Vec<Summary>, AuthError> {
        let shared = self.shared();
        let listed =
            shared
                .store
                .list(&shared.namespace, after.map(Subject::as_str), limit, filter);
        let listed = shared.within(listed).await;
        listed.map_err(StoreError::into_auth_error)
    }

    /// Removes what the store need not keep any longer (tombstones after 24 hours, marks of used
    /// flows), and answers how many. Call it from time to time, such as once an hour.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sweep(&self) -> Result<u64, AuthError> {
        // Of many rows, so for longer than one of them takes.
        let limit = self.shared().settings.timings.save.saturating_mul(12);
        let swept = self
            .shared()
            .within_limit(limit, self.shared().store.sweep());
        let swept = swept.await;
        swept.map_err(StoreError::into_auth_error)
    }

    /// Checks what the store's durability rests on, and the settings of the built-in transport
    /// (`HttpsConfig`). Call it at the start.
    ///
    /// Nothing is sent to Notion.
    ///
    /// # Errors
    /// When the store cannot be reached, or would lose what it was given; when a variable for root
    /// certificates or proxies can't be used.
    pub async fn health(&self) -> Result<(), AuthError> {
        #[cfg(feature = "https")]
        self.check_connections().await?;
        let health = self.shared().within(self.shared().store.health());
        health.await.map_err(StoreError::into_auth_error)
    }

    #[cfg(feature = "https")]
    async fn check_connections(&self) -> Result<(), AuthError> {
        let shared = self.shared();
        let Some(connector) = shared.built_in.clone() else {
            return Ok(());
        };
        let mut destinations = vec![shared.api_url.clone()];
        if shared.has_oauth_client {
            destinations.push(shared.oauth.app().token_url().clone());
        }
        let check = move || {
            let mut uris = destinations
                .iter()
                .filter_map(|it| it.as_str().parse().ok());
            uris.try_for_each(|uri| connector.check(&uri))
        };
        // Root certificates are read from files.
        let checked = match shared.runtime() {
            Ok(runtime) => runtime.spawn_blocking(check).await.map_err(|error| {
                AuthError::transient("the connections to Notion were not checked")
                    .with_source(error)
            })?,
            Err(_) => check(),
        };
        checked.map_err(ConnectError::into_auth_error)
    }

    fn key(&self, subject: &Subject) -> RecordKey {
        self.shared().key(subject)
    }

    pub(super) async fn load(&self, subject: &Subject) -> Result<Option<Record>, AuthError> {
        let key = self.key(subject);
        let loaded = self.shared().within(self.shared().store.load(&key)).await;
        loaded.map_err(|error| error.into_auth_error().with_subject(subject))
    }

    /// Saves over what was read.
    pub(super) async fn save(
        &self,
        subject: &Subject,
        new: NewRecord,
        expected: Expected,
    ) -> Result<Saving, AuthError> {
        let key = self.key(subject);
        let attempt = AttemptId::random();
        let mut tries = 0;
        loop {
            // Under the same attempt, since it may be done and its answer lost.
            let save = self
                .shared()
                .store
                .save(&key, new.clone(), expected, attempt);
            match self.shared().within(save).await {
                Ok(Saved::Done(generation)) => return Ok(Saving::Done(generation)),
                Ok(Saved::Conflict(_)) if tries == 0 => return Ok(Saving::Overtaken),
                Ok(Saved::Conflict(_)) => return Ok(Saving::Unknown),
                Err(_) if tries < 2 => tries += 1,
                Err(error) => return Err(error.into_auth_error().with_subject(subject)),
            }
        }
    }

    /// Takes a connection that was ended before out of the cache as well.
    fn forget(&self, subject: &Subject, tombstone: Option<&Record>) {
        let shared = self.shared();
        match tombstone {
            Some(record) => {
                let now = shared.clock.monotonic();
                shared.cache.bury(subject, record.generation, now);
            }
            None => shared.cache.remove(subject, u64::MAX),
        }
    }

    /// Saves a tombstone over the record; `false` if another change came between.
    async fn bury(&self, subject: &Subject, record: &Record) -> Result<bool, AuthError> {
        let tombstone = NewRecord {
            change: Change::Disconnect,
            payload: Payload::default(),
            labels: Labels::default(),
        };
        let expected = Expected::of(Some(record));
        let Saving::Done(generation) = self.save(subject, tombstone, expected).await? else {
            return Ok(false);
        };
        let now = self.shared().clock.monotonic();
        self.shared().cache.bury(subject, generation, now);
        self.shared().flights.forget_failure(subject);
        self.shared().tell(Event::Disconnected {
            subject: subject.clone(),
        });
        Ok(true)
    }

    async fn revoke(&self, subject: &Subject, record: &Record) -> Revocation {
        let credentials = match self.shared().open(subject, record) {
            Ok(credentials) => credentials,
            Err(error) => return Revocation::Unreadable(error),
        };
        match self.oauth().revoke_both(&credentials).await {
            Ok(()) => Revocation::Done,
            Err(error) => Revocation::Failed(error),
        }
    }
}

pub(super) fn contended(subject: &Subject) -> AuthError {
    AuthError::transient("the credentials were changed by others again and again; try again")
        .with_subject(subject)
}
