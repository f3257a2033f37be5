//! Storing the credentials of a new connection, or of a reconnect.

use std::time::Duration;

use super::{
    NotionAuthProvider,
    connections::{TRIES, contended, revoke},
};
use crate::{
    credentials::NotionUserCredentials,
    error::AuthError,
    event::Event,
    store::{
        AttemptId, FencingToken, Found, Lineage, Metadata, NewConnection, Record, Replaced,
        Snapshot,
    },
    subject::Subject,
};

/// How often the record is read again after the store did not answer, and how long after that.
const READ_AGAIN: u32 = 3;
const BETWEEN_READS: Duration = Duration::from_secs(1);

/// Which credentials may replace those of an existing connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Any,
    /// The same Notion user (by the bot that represents it) in the same workspace.
    #[cfg(feature = "routes")]
    SameIdentity,
    /// None: there must be no record, also no tombstone.
    Absent,
}

/// The outcome for new credentials.
#[derive(Debug)]
pub(crate) enum Connecting {
    Done,
    /// They are stored, and can't be sent. An event says why.
    Unusable,
    /// They are certainly not stored.
    NotSaved(AuthError),
    /// The connection stays as it was.
    Refused,
}

impl NotionAuthProvider {
    /// Stores the credentials of a new authorization. They replace the subject's stored credentials, even during a
    /// refresh of those.
    ///
    /// [`Event::IdentityChanged`] reports another Notion user or workspace than before. Replaced tokens of another bot
    /// are then revoked in the background, unless another subject is connected by that bot, or another OAuth client
    /// or token server issued them.
    ///
    /// Credentials that can't be sent are stored as well, because they may be the only copy. [`Event::InvalidToken`]
    /// and [`status`](Self::status) report them.
    ///
    /// # Errors
    /// If the store fails, or holds credentials for the subject that another OAuth client or token server issued.
    pub async fn store_credentials(
        &self,
        subject: &Subject,
        credentials: NotionUserCredentials,
    ) -> Result<(), AuthError> {
        let stored = self.store_if(subject, &credentials, Admission::Any).await;
        stored.map(drop)
    }

    /// Stores credentials if the subject has no record, as when they are imported beside processes that connect users.
    /// Returns whether they were stored.
    ///
    /// A connection that needs reauthorization, or whose record can't be read, has a record as well. So has a subject
    /// that was disconnected, until its tombstone is [purged](Self::purge_expired) after 24 hours: a second import would
    /// store revoked tokens again. Another process can't connect the subject between the check and the write.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn store_credentials_if_absent(
        &self,
        subject: &Subject,
        credentials: NotionUserCredentials,
    ) -> Result<bool, AuthError> {
        self.store_if(subject, &credentials, Admission::Absent)
            .await
    }

    async fn store_if(
        &self,
        subject: &Subject,
        credentials: &NotionUserCredentials,
        admission: Admission,
    ) -> Result<bool, AuthError> {
        match self.connect(subject, credentials, admission).await? {
            Connecting::NotSaved(error) => Err(error),
            Connecting::Done | Connecting::Unusable => Ok(true),
            Connecting::Refused => Ok(false),
        }
    }

    pub(crate) async fn connect(
        &self,
        subject: &Subject,
        credentials: &NotionUserCredentials,
        admission: Admission,
    ) -> Result<Connecting, AuthError> {
        let engine = self.engine();
        let change = engine.cache.begin_change(subject);
        let now = engine.clock.monotonic();
        let connecting = self.try_connect(subject, credentials, admission).await;
        let cached = match &connecting {
            Ok(Connected::Done {
                record,
                is_current: true,
                ..
            }) => engine
                .cached(record, credentials, Duration::ZERO, now)
                .map(Some),
            _ => Ok(None),
        };
        let entry = cached.as_ref().ok().cloned().flatten();
        let entry = entry.map(|cached| (cached, engine.revalidate_at(now)));
        change.end(entry);
        if !matches!(connecting, Ok(Connected::NotSaved(_) | Connected::Refused)) {
            engine.changed(subject);
        }
        match connecting? {
            Connected::Done {
                record,
                replaced,
                is_changed,
                ..
            } => {
                engine.events.emit(Event::Connected {
                    subject: subject.clone(),
                    lineage: record.lineage,
                    generation: record.generation,
                });
                engine.report_invalid_token(subject, record.fence(), &cached);
                if is_changed {
                    self.report_change(subject, false);
                    self.revoke_replaced(subject, *replaced, credentials);
                }
                Ok(match cached {
                    Ok(_) => Connecting::Done,
                    Err(_) => Connecting::Unusable,
                })
            }
            Connected::Refused => {
                if admission != Admission::Absent {
                    self.report_change(subject, true);
                }
                Ok(Connecting::Refused)
            }
            Connected::NotSaved(error) => Ok(Connecting::NotSaved(error)),
        }
    }

    async fn try_connect(
        &self,
        subject: &Subject,
        credentials: &NotionUserCredentials,
        admission: Admission,
    ) -> Result<Connected, AuthError> {
        let records = &self.engine().records;
        let issuer = self.engine().issuers.own.clone().unwrap_or_default();
        let lineage = Lineage::random();
        let fence = FencingToken {
            lineage,
            generation: 1,
        };
        let new = NewConnection {
            lineage,
            payload: records.encrypt(subject, fence, &issuer, credentials),
            issuer,
            metadata: Metadata::of(credentials),
            attempt: AttemptId::random(),
        };
        let mut failures = 0;
        for _ in 0..TRIES {
            let seen = match self.load(subject).await {
                Ok(seen) => seen,
                // A user would have to authorize the app again.
                Err(error) if error.is_transient() && failures < READ_AGAIN => {
                    failures += 1;
                    self.engine().pause(BETWEEN_READS).await;
                    continue;
                }
                Err(error) => return Ok(Connected::NotSaved(error)),
            };
            let is_changed = Self::is_another(&seen, credentials);
            match self.engine().issuers.check_replaceable(&seen) {
                // Then there is a connection, and it stays.
                Err(_) if admission == Admission::Absent => return Ok(Connected::Refused),
                Err(error) => return Ok(Connected::NotSaved(error.with_subject(subject))),
                Ok(()) => {}
            }
            let is_refused = match admission {
                Admission::Any => false,
                #[cfg(feature = "routes")]
                Admission::SameIdentity => is_changed,
                Admission::Absent => !matches!(seen.found, Found::Absent),
            };
            if is_refused {
                return Ok(Connected::Refused);
            }
            match records.connect(subject, &seen, new.clone()).await {
                Ok((replaced @ (Replaced::Done | Replaced::DoneAndChanged), record)) => {
                    return Ok(Connected::Done {
                        record: Box::new(record),
                        replaced: Box::new(seen),
                        is_changed,
                        is_current: replaced == Replaced::Done,
                    });
                }
                Ok((Replaced::Conflict, _)) => {}
                // Another process may have refreshed them since they were stored: then they are spent.
                Ok((Replaced::Unknown, _)) => return Err(contended(subject)),
                Err(error) => return Err(error.into_auth_error().with_subject(subject)),
            }
        }
        Ok(Connected::NotSaved(contended(subject)))
    }

    /// Checks that a connection for `subject` would not replace credentials of another OAuth client or token server.
    ///
    /// # Errors
    /// When it would, and when the store fails.
    #[cfg(feature = "routes")]
    pub(crate) async fn check_connectable(&self, subject: &Subject) -> Result<(), AuthError> {
        let seen = self.load(subject).await?;
        let checked = self.engine().issuers.check_replaceable(&seen);
        checked.map_err(|error| error.with_subject(subject))
    }

    /// Revokes the tokens that `credentials` of another bot have replaced. It is done in a task that
    /// [`shutdown`](Self::shutdown) waits for.
    fn revoke_replaced(
        &self,
        subject: &Subject,
        replaced: Snapshot,
        credentials: &NotionUserCredentials,
    ) {
        let engine = self.engine();
        let Some(record) = replaced.record() else {
            return;
        };
        let old_bot = record.metadata.bot_id.clone();
        let Some(old_bot) = old_bot.filter(|old| differ(Some(old), credentials.bot_id())) else {
            return;
        };
        // Also not where `adopt_other_issuers` is set: tokens are sent to no other server than the one that issued them.
        if engine.issuers.own.as_ref() != Some(&record.issuer) {
            return;
        }
        let Ok(runtime) = engine.runtime() else {
            return;
        };
        let tracked = engine.tasks.track();
        let (provider, subject) = (self.clone(), subject.clone());
        runtime.spawn(async move {
            let _tracked = tracked;
            if provider.engine().has_no_connection(&old_bot).await {
                revoke(provider.engine(), &subject, &replaced).await;
            }
        });
    }

    /// Revokes credentials that were not stored, unless their bot has a connection.
    #[cfg(feature = "routes")]
    pub(crate) async fn revoke_unstored(&self, credentials: &NotionUserCredentials) {
        if let Some(bot_id) = credentials.bot_id() {
            if !self.engine().has_no_connection(bot_id).await {
                return;
            }
        }
        if let Err(error) = self.oauth().revoke_both(credentials).await {
            tracing::error!(
                %error,
                "tokens that were not stored could not be revoked, and stay valid at Notion"
            );
        }
    }

    fn report_change(&self, subject: &Subject, is_refused: bool) {
        self.engine().events.emit(Event::IdentityChanged {
            subject: subject.clone(),
            is_refused,
        });
    }

    /// Whether the credentials are of another Notion user or workspace than the record's. An id that is missing on one
    /// side is not compared.
    fn is_another(seen: &Snapshot, credentials: &NotionUserCredentials) -> bool {
        let Found::Record(record) = &seen.found else {
            return false;
        };
        let old = &record.metadata;
        differ(old.bot_id.as_deref(), credentials.bot_id())
            || differ(
                old.workspace_id.as_deref(),
                credentials.workspace_id.as_deref(),
            )
    }
}

/// The outcome of a connect, with the record that it wrote.
enum Connected {
    Done {
        record: Box<Record>,
        replaced: Box<Snapshot>,
        /// Whether the replaced record is of another identity.
        is_changed: bool,
        /// Whether the record is still as it was written.
        is_current: bool,
    },
    NotSaved(AuthError),
    Refused,
}

fn differ(old: Option<&str>, new: Option<&str>) -> bool {
    old.zip(new).is_some_and(|(old, new)| old != new)
}
