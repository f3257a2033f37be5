//! A connection is made, or made again.

use std::time::Duration;

use super::{
    NotionAuthProvider,
    connections::{TRIES, contended},
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

/// Whose credentials may replace those of a connection that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Any,
    /// The same Notion user (by the bot that represents it) in the same workspace.
    #[cfg(feature = "routes")]
    SameIdentity,
}

/// What became of new credentials.
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
    /// Stores what a user's authorization gave, in the place of what was stored for the subject, also while that is
    /// being refreshed.
    ///
    /// [`Event::IdentityChanged`] reports another Notion user or workspace than before.
    ///
    /// Credentials that can't be sent are stored as well, because they may be the only copy:
    /// [`Event::InvalidToken`] and [`status`](Self::status) say so.
    ///
    /// # Errors
    /// When the store fails, or holds credentials for the subject that another OAuth client or token server issued.
    pub async fn store_credentials(
        &self,
        subject: &Subject,
        credentials: NotionUserCredentials,
    ) -> Result<(), AuthError> {
        match self.connect(subject, &credentials, Admission::Any).await? {
            Connecting::NotSaved(error) => Err(error),
            Connecting::Done | Connecting::Unusable | Connecting::Refused => Ok(()),
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
                record, is_changed, ..
            } => {
                engine.events.emit(Event::Connected {
                    subject: subject.clone(),
                    lineage: record.lineage,
                    generation: record.generation,
                });
                engine.report_invalid_token(subject, record.fence(), &cached);
                if is_changed {
                    self.report_change(subject, false);
                }
                Ok(match cached {
                    Ok(_) => Connecting::Done,
                    Err(_) => Connecting::Unusable,
                })
            }
            Connected::Refused => {
                self.report_change(subject, true);
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
        for _ in 0..TRIES {
            let seen = match self.load(subject).await {
                Ok(seen) => seen,
                Err(error) => return Ok(Connected::NotSaved(error)),
            };
            if let Err(error) = self.engine().issuers.check_replaceable(&seen) {
                return Ok(Connected::NotSaved(error.with_subject(subject)));
            }
            let is_changed = Self::is_another(&seen, credentials);
            if is_changed && admission != Admission::Any {
                return Ok(Connected::Refused);
            }
            match records.connect(subject, &seen, new.clone()).await {
                Ok((replaced @ (Replaced::Done | Replaced::DoneAndChanged), record)) => {
                    return Ok(Connected::Done {
                        record: Box::new(record),
                        is_changed,
                        is_current: replaced == Replaced::Done,
                    });
                }
                Ok((Replaced::Conflict, _)) => {}
                // They may be stored and refreshed by another process since: then these are spent.
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

    fn report_change(&self, subject: &Subject, is_refused: bool) {
        self.engine().events.emit(Event::IdentityChanged {
            subject: subject.clone(),
            is_refused,
        });
    }

    /// Whether the credentials are of another Notion user or workspace than the record's, as far as both say.
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

/// What became of a connect, with the record that it wrote.
enum Connected {
    Done {
        record: Box<Record>,
        is_changed: bool,
        /// Whether it is still as it was written.
        is_current: bool,
    },
    NotSaved(AuthError),
    Refused,
}

fn differ(old: Option<&str>, new: Option<&str>) -> bool {
    old.zip(new).is_some_and(|(old, new)| old != new)
}
