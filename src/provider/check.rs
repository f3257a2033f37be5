//! Whether a connection works now, as Notion sees it.

use std::time::SystemTime;

use super::{NotionAuthProvider, connections::contended};
use crate::{
    cache::Fence,
    credentials::ReauthorizationReason,
    error::AuthError,
    store::{Found, Record, RecordState},
    subject::Subject,
};

/// The result of [`check`](NotionAuthProvider::check).
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectionCheck {
    /// Whether the connection works.
    pub verdict: Verdict,
    /// When the access token expires, if that is known.
    pub expires_at: Option<SystemTime>,
    /// Whether there is a refresh token.
    pub can_refresh: bool,
}

/// Whether a connection works, see [`ConnectionCheck`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// Notion accepts the access token.
    Good,
    /// Notion does not accept the access token. The next request of the subject refreshes it if it can.
    Refused,
    /// No workspace is connected.
    NotConnected,
    /// The user must connect again.
    NeedsReauthorization(ReauthorizationReason),
    /// It was not found out, for this reason.
    Unknown(AuthError),
}

impl NotionAuthProvider {
    /// Asks Notion whether the subject's connection works now, by an introspection of its access token. Nothing is
    /// refreshed, stored or ended.
    ///
    /// A token that Notion calls inactive counts as refused if it is cached: the next request refreshes it. If the
    /// credentials change during the call, it is repeated once.
    ///
    /// ```
    /// # use notion_auth::{provider::Verdict, testing::MockNotion};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notion = MockNotion::start().await?;
    /// # let provider = notion.provider_builder()?.build()?;
    /// # let subject = "ann".into();
    /// # provider.store_credentials(&subject, notion.connect()).await?;
    /// let check = provider.check(&subject).await;
    /// assert!(matches!(check.verdict, Verdict::Good));
    /// # Ok(()) }
    /// ```
    pub async fn check(&self, subject: &Subject) -> ConnectionCheck {
        for _ in 0..2 {
            let (check, seen) = match self.check_once(subject).await {
                Ok(outcome) => outcome,
                Err(error) => return error.into(),
            };
            let Some(fence) = seen else {
                return check;
            };
            match self.load(subject).await {
                Ok(now) if now.record().is_some_and(|it| is_same(it, fence)) => {
                    if matches!(check.verdict, Verdict::Refused) {
                        self.shared().refuse_if_cached(subject, fence);
                    }
                    return check;
                }
                Ok(_) => {}
                Err(error) => return error.into(),
            }
        }
        contended(subject).into()
    }

    /// Returns the fencing token of the record whose access token was introspected.
    async fn check_once(
        &self,
        subject: &Subject,
    ) -> Result<(ConnectionCheck, Option<Fence>), AuthError> {
        let engine = self.engine();
        let record = match self.load(subject).await?.found {
            Found::Record(record) => record,
            Found::Absent => return Ok((Verdict::NotConnected.into(), None)),
            Found::Unreadable(reason) => {
                let cause = engine.records.unreadable(reason);
                return Err(AuthError::unreadable(cause).with_subject(subject));
            }
        };
        match record.state {
            RecordState::Active => {}
            RecordState::NeedsReauthorization(reason) => {
                return Ok((Verdict::NeedsReauthorization(reason).into(), None));
            }
            RecordState::Disconnected | RecordState::Unreadable => {
                return Ok((Verdict::NotConnected.into(), None));
            }
        }
        // Tokens are not sent to another server than the one that issued them.
        let issued_here = engine.issuers.check(&record);
        issued_here.map_err(|error| error.with_subject(subject))?;
        let decrypted = engine.records.decrypt(subject, &record);
        let credentials =
            decrypted.map_err(|cause| AuthError::unreadable(cause).with_subject(subject))?;
        let introspected = engine.oauth.introspect(&credentials.access_token).await;
        let verdict = match introspected {
            Ok(introspection) if introspection.active => Verdict::Good,
            Ok(_) => Verdict::Refused,
            Err(error) => {
                let what = match error.is_configuration() || error.is_about_the_app() {
                    true => AuthError::configuration("Notion was not asked, or refused the app"),
                    false => AuthError::transient("Notion did not say whether the token is valid"),
                };
                Verdict::Unknown(what.with_source(error).with_subject(subject))
            }
        };
        let check = ConnectionCheck {
            verdict,
            expires_at: credentials.expires_at,
            can_refresh: credentials.refresh_token.is_some(),
        };
        Ok((check, Some(record.fence().into())))
    }
}

fn is_same(record: &Record, fence: Fence) -> bool {
    record.state == RecordState::Active && Fence::from(record.fence()) == fence
}

impl From<Verdict> for ConnectionCheck {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            expires_at: None,
            can_refresh: false,
        }
    }
}

impl From<AuthError> for ConnectionCheck {
    fn from(error: AuthError) -> Self {
        Verdict::Unknown(error).into()
    }
}
