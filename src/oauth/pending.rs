use std::{
    fmt,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use subtle::ConstantTimeEq;

use super::error::OAuthError;
use crate::{Subject, clock::unix_seconds, random::random_bytes};

/// An OAuth flow between the redirect to Notion and the callback, bound to the user's browser.
///
/// It implements `Serialize` and `Deserialize`, so that it can be kept in a session. It contains the flow's
/// `state`. Keep it where only the application can read it, such as a server-side session or an encrypted
/// cookie. Remove it from there when you use it.
#[derive(Clone, Serialize)]
pub struct PendingFlow {
    state: String,
    subject: String,
    /// The redirect URI of the authorization request, if it had one. The exchange must repeat the exact
    /// text.
    redirect_uri: Option<String>,
    /// Unix seconds.
    created_at: u64,
}

impl PendingFlow {
    /// How long a flow can be completed after its start: 10 minutes.
    pub const LIFETIME: Duration = Duration::from_secs(600);

    pub(super) fn start(subject: &Subject, redirect_uri: Option<&str>, now: SystemTime) -> Self {
        Self {
            state: URL_SAFE_NO_PAD.encode(random_bytes::<32>()),
            subject: subject.as_str().to_owned(),
            redirect_uri: redirect_uri.map(str::to_owned),
            created_at: unix_seconds(now),
        }
    }

    /// Returns the subject that the flow was started for.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::new(self.subject.as_str())
    }

    /// Returns the `state` parameter: 256 random bits, which identify the flow in the callback.
    #[must_use]
    pub fn expose_state(&self) -> &str {
        &self.state
    }

    /// Returns the start of the flow, in Unix seconds.
    #[cfg(feature = "routes")]
    pub(crate) fn created_at(&self) -> u64 {
        self.created_at
    }

    pub(crate) fn redirect_uri(&self) -> Option<&str> {
        self.redirect_uri.as_deref()
    }

    /// Checks whether `subject` may complete this flow with `state` at `now`.
    pub(crate) fn check(
        &self,
        subject: &Subject,
        state: &str,
        now: SystemTime,
    ) -> Result<(), Mismatch> {
        if !bool::from(self.state.as_bytes().ct_eq(state.as_bytes())) {
            return Err(Mismatch::State);
        }
        if self.subject != subject.as_str() {
            return Err(Mismatch::Subject);
        }
        let now = unix_seconds(now);
        let is_ahead = self.created_at > now.saturating_add(CLOCKS_DIFFER);
        if is_ahead || now.saturating_sub(self.created_at) > Self::LIFETIME.as_secs() {
            return Err(Mismatch::Age);
        }
        Ok(())
    }
}

/// Accepted clock difference between the replica that started a flow and this one, in seconds.
const CLOCKS_DIFFER: u64 = 60;

/// The reason why a callback does not complete a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The callback is that of another flow.
    State,
    /// The flow was started for another subject.
    Subject,
    /// The flow is too old.
    Age,
}

impl From<Mismatch> for OAuthError {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::State => Self::state_mismatch(),
            Mismatch::Subject => Self::subject_mismatch(),
            Mismatch::Age => Self::flow_expired(),
        }
    }
}

impl<'de> Deserialize<'de> for PendingFlow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "PendingFlow")]
        struct Kept {
            state: String,
            subject: String,
            redirect_uri: Option<String>,
            created_at: u64,
        }

        // serde's error would show a value of the wrong type.
        let kept =
            Kept::deserialize(deserializer).map_err(|_| D::Error::custom("not a pending flow"))?;
        Ok(Self {
            state: kept.state,
            subject: kept.subject,
            redirect_uri: kept.redirect_uri,
            created_at: kept.created_at,
        })
    }
}

impl fmt::Debug for PendingFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingFlow")
            .field("subject", &self.subject())
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}
