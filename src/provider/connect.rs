//! A connection is made, or made again.

use std::time::Duration;

use super::{
    Event, NotionAuthProvider,
    connection::{Saving, TRIES, contended},
    publish::Vintage,
};
use crate::{
    credentials::NotionUserCredentials,
    error::AuthError,
    store::{Change, Expected, Labels, NewRecord, Record},
    subject::Subject,
};

/// Who may take the place of a connection that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Anybody,
    /// The same Notion user (by the bot that stands for it) in the same workspace.
    #[cfg(feature = "routes")]
    SameIdentity,
}

impl Admission {
    fn is_for_anybody(self) -> bool {
        match self {
            Self::Anybody => true,
            #[cfg(feature = "routes")]
            Self::SameIdentity => false,
        }
    }
}

/// What became of new credentials.
#[derive(Debug)]
pub(crate) enum Connecting {
    Done,
    /// They are stored, and cannot be sent. An event said why.
    Unusable,
    /// They are certainly not stored.
    NotSaved(AuthError),
    /// The connection stays as it was.
    Refused,
}

impl NotionAuthProvider {
    /// Stores what a user's authorization gave, replacing what was stored for the subject, also
    /// while that is being refreshed.
    ///
    /// Another Notion user or workspace than before is told as [`Event::IdentityChanged`].
    ///
    /// Credentials that cannot be sent are stored as well, because they may be the only copy:
    /// [`Event::InvalidToken`] and [`status`](Self::status) say so.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn store_credentials(
        &self,
        subject: &Subject,
        credentials: NotionUserCredentials,
    ) -> Result<(), AuthError> {
        let connecting = self.connect(subject, &credentials, Admission::Anybody);
        match connecting.await? {
            Connecting::NotSaved(error) => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) async fn connect(
        &self,
        subject: &Subject,
        credentials: &NotionUserCredentials,
        admission: Admission,
    ) -> Result<Connecting, AuthError> {
        for _ in 0..TRIES {
            let seen = self.shared().cache.peek(subject);
            let current = match self.load(subject).await {
                Ok(current) => current,
                Err(error) => return Ok(Connecting::NotSaved(error)),
            };
            let is_changed = current
                .as_ref()
                .is_some_and(|record| self.is_another(subject, record, credentials));
            if is_changed && !admission.is_for_anybody() {
                self.tell_of_change(subject, true);
                return Ok(Connecting::Refused);
            }
            let expected = Expected::of(current.as_ref());
            let new = NewRecord {
                change: Change::Connect,
                payload: self.shared().seal(subject, expected.next(), credentials),
                labels: Labels::of(credentials),
            };
            let generation = match self.save(subject, new, expected).await? {
                Saving::Done(generation) => generation,
                Saving::Overtaken => continue,
                // They may be stored, and refreshed by another process since: then these are spent.
                Saving::Unknown => return Err(contended(subject)),
            };
            // After a restore the generations start from an older one: what was seen is history.
            if let Some(seen) = seen.filter(|seen| seen.fresh.generation > generation) {
                self.shared().cache.forget(subject, seen.tag);
            }
            self.shared().flights.forget_failure(subject);
            let vintage = Vintage {
                generation,
                age: Duration::ZERO,
                is_refreshed: false,
            };
            // If it is newer already, so much the better.
            let published = self.shared().publish(subject, vintage, credentials, false);
            self.shared().tell(Event::Connected {
                subject: subject.clone(),
                generation,
            });
            self.shared()
                .tell_of_invalid_token(subject, generation, &published);
            if is_changed {
                self.tell_of_change(subject, false);
            }
            return Ok(match published {
                Ok(_) => Connecting::Done,
                Err(_) => Connecting::Unusable,
            });
        }
        Ok(Connecting::NotSaved(contended(subject)))
    }

    fn tell_of_change(&self, subject: &Subject, is_refused: bool) {
        self.shared().tell(Event::IdentityChanged {
            subject: subject.clone(),
            is_refused,
        });
    }

    /// Whether the credentials are of another Notion user or workspace than the record's, as far as
    /// both say.
    fn is_another(
        &self,
        subject: &Subject,
        record: &Record,
        credentials: &NotionUserCredentials,
    ) -> bool {
        let Ok(old) = self.shared().open(subject, record) else {
            // A tombstone, or what no key opens.
            return differ(record.labels.bot_id.as_deref(), credentials.bot_id());
        };
        differ(old.bot_id(), credentials.bot_id())
            || differ(
                old.workspace_id.as_deref(),
                credentials.workspace_id.as_deref(),
            )
    }
}

fn differ(old: Option<&str>, new: Option<&str>) -> bool {
    old.zip(new).is_some_and(|(old, new)| old != new)
}
