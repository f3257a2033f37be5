use std::time::Duration;

use crate::error::AuthError;

/// How long a task in doubt sleeps before it looks for changes by other processes.
pub(super) const LONGEST_SLEEP: Duration = Duration::from_secs(25);

/// Maximum pause between two tries to commit.
pub(super) const LONGEST_COMMIT_PAUSE: Duration = Duration::from_millis(1600);

/// Maximum duration of a presentation of a refresh token after the lease, as a multiple of `call`. It is one `call` until
/// the token is sent, one until the answer begins, and six while the answer is read.
const LONGEST_PRESENTATION: u32 = 8;

/// Time limits of a refresh's steps.
///
/// A lease must outlive its call and save, so `call + save + margin` must be less than `lease`.
///
/// A holder that can't reach the store can't renew its lease while it reads an answer. After `lease + save_retries + save`,
/// another process may present the same refresh token. So `8 * call + margin` must be less than that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshTimings {
    /// Time limit of a call of an OAuth endpoint. Default: 10 seconds.
    ///
    /// The answer of an exchange or a refresh must begin within it, and is then read for up to six times as long. It is
    /// also the longest time from the lease to the first byte of the call.
    pub call: Duration,
    /// Time limit of one operation of the store, such as one try to save. Default: 5 seconds.
    pub save: Duration,
    /// How long another process waits, beyond `lease` and one `save`, before it takes over. Default: 60 seconds.
    pub save_retries: Duration,
    /// Tolerance for clocks and schedulers. Default: 5 seconds.
    pub margin: Duration,
    /// How long a lease keeps other attempts from the refresh token. Default: 30 seconds.
    pub lease: Duration,
}

impl Default for RefreshTimings {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(10),
            save: Duration::from_secs(5),
            save_retries: Duration::from_secs(60),
            margin: Duration::from_secs(5),
            lease: Duration::from_secs(30),
        }
    }
}

impl RefreshTimings {
    pub(crate) fn check(&self) -> Result<(), AuthError> {
        if self.call.is_zero() || self.save.is_zero() {
            return Err(AuthError::configuration(
                "RefreshTimings: call and save must be more than zero",
            ));
        }
        let held = self.call.saturating_add(self.save);
        if held.saturating_add(self.margin) >= self.lease {
            return Err(AuthError::configuration(
                "RefreshTimings: call + save + margin must be less than lease",
            ));
        }
        let presented = self.call.saturating_mul(LONGEST_PRESENTATION);
        let taken_over = self.take_over_after().max(self.unchanged_for());
        if presented.saturating_add(self.margin) >= taken_over {
            let limit = taken_over.saturating_sub(self.margin) / LONGEST_PRESENTATION;
            let call = self.call;
            let source =
                format!("call is {call:?}, and with these values must be less than {limit:?}");
            return Err(AuthError::configuration(
                "RefreshTimings: 8 * call + margin must be less than lease + save_retries + save: \
                 shorten call, or lengthen save_retries",
            )
            .with_source(source));
        }
        Ok(())
    }

    /// How often a holder renews its lease.
    pub(super) fn renewal(&self) -> Duration {
        self.lease / 3
    }

    /// How long a process must have seen a lease unchanged before it takes over. A running holder renews its lease.
    pub(super) fn unchanged_for(&self) -> Duration {
        let renewed = self.renewal() + Duration::from_secs(2);
        renewed.max(Duration::from_secs(12))
    }

    /// How long after a lease was acquired or renewed another attempt may take it over.
    pub(super) fn take_over_after(&self) -> Duration {
        self.lease
            .saturating_add(self.save_retries)
            .saturating_add(self.save)
    }
}

/// Times at which access tokens are refreshed and compared with the store, and how long requests wait.
///
/// ```
/// # use notion_auth::testing::MockNotion;
/// use std::time::Duration;
/// use notion_auth::provider::RefreshPolicy;
///
/// # fn main() -> Result<(), notion_auth::BoxError> {
/// # let builder = MockNotion::in_process().provider_builder()?;
/// let mut policy = RefreshPolicy::default();
/// policy.acquire_timeout = Duration::from_secs(5);
/// let provider = builder.refresh_policy(policy).build()?;
/// # drop(provider);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshPolicy {
    /// How long before its expiry a token counts as expired. Default: 10 seconds.
    pub leeway: Duration,
    /// How long before its expiry a background refresh starts: with up to 20 % jitter, and at most half of the token's
    /// lifetime. Default: 5 minutes.
    pub window: Duration,
    /// Age at which a token of unknown expiry counts as expired, if it can be refreshed. Notion's tokens normally have no
    /// known expiry. Default: none, so that it is used until Notion refuses it.
    pub max_age: Option<Duration>,
    /// Age at which a cached token is compared with a shared store again, in the background. Another replica notices a
    /// disconnect within twice this time. Default: 60 seconds.
    pub revalidation_age: Duration,
    /// How long after its last comparison with the store a cached token is used while the store does not answer.
    /// Default: 5 minutes.
    pub stale_if_store_down: Duration,
    /// Maximum time that a request waits for credentials. Loading or refreshing continues afterwards. Default: 15 seconds.
    pub acquire_timeout: Duration,
    /// Time limits of a refresh's steps.
    pub timings: RefreshTimings,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            leeway: Duration::from_secs(10),
            window: Duration::from_secs(5 * 60),
            max_age: None,
            revalidation_age: Duration::from_secs(60),
            stale_if_store_down: Duration::from_secs(5 * 60),
            acquire_timeout: Duration::from_secs(15),
            timings: RefreshTimings::default(),
        }
    }
}
