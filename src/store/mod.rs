//! Where credentials are kept: the contract of a store, and the store in memory.
//!
//! A [`CredentialStore`] holds one [`Record`] for each namespace and subject. It does not know what
//! a credential is: the record's payload is bytes to it. What it must know is how to decide, in one
//! atomic and durable step, who may change a record, because Notion's refresh tokens can be spent
//! only once, and the processes that share a store agree through it and through nothing else.
//!
//! - A **generation** counts a record's accepted changes. Each [`save`](CredentialStore::save) names
//!   the generation it replaces and makes the next one. It never restarts, also not by a delete,
//!   which leaves a tombstone.
//! - A **claim** is the durable note "this attempt is about to spend the refresh token of this
//!   generation". Nobody calls the token endpoint without one. A claim lapses, but what its holder
//!   obtained can still be saved as long as the generation has not moved.
//! - An **attempt** is the name of one try to change a record. Asked again by the same attempt, an
//!   operation that was already done does nothing, and `save`, `condemn` and `claim` answer as they
//!   did, so that a caller whose answer was lost can simply ask again.
//!
//! Times are the store's own clock; nothing in the contract compares clocks of two machines.

mod dynamic;
mod error;
mod key;
mod memory;
mod payload;
mod record;

use std::{fmt, time::Duration};

pub(crate) use self::dynamic::DynStore;
pub use self::{
    error::{StoreError, StoreErrorKind},
    key::{AttemptId, OnceKey, RecordKey},
    memory::MemoryStore,
    payload::Payload,
    record::{
        Change, Claim, ClaimAnswer, Condemned, Expected, Filter, Labels, NewRecord, OnceAnswer,
        Record, RecordState, Released, Resealed, Saved, Summary,
    },
};

use crate::credentials::ReauthorizationReason;

/// A place that keeps credentials, shared by everybody who refreshes them.
///
/// Every operation is atomic, and durable when it returns `Ok`. An `Err` says nothing about whether
/// the operation was done: callers ask again under the same attempt. Dropping a future may leave the
/// operation done or not done, never half done.
pub trait CredentialStore: fmt::Debug + Send + Sync + 'static {
    /// Reads the record from the primary copy: a lagging replica would make a spent token look
    /// unspent.
    fn load(
        &self,
        key: &RecordKey,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Replaces the record if it is as `expected`, and makes the next generation: a refresh's
    /// commit, a connect, a reconnect, a disconnect (which saves a tombstone).
    ///
    /// It ends the claim and the back-off, whoever made them, and notes `attempt` in
    /// [`Record::committed_by`]. If the current record was already committed by this attempt, it
    /// answers [`Saved::Done`] again. The claim's lease plays no part: a holder whose lease lapsed
    /// may have the only living tokens, and they are accepted unless the generation moved. A record
    /// that [`condemn`](Self::condemn) closed keeps its generation, so that such a late commit
    /// still replaces it.
    fn save(
        &self,
        key: &RecordKey,
        new: NewRecord,
        expected: Expected,
        attempt: AttemptId,
    ) -> impl Future<Output = Result<Saved, StoreError>> + Send;

    /// Closes the record: its state becomes [`RecordState::NeedsReauthorization`], its generation
    /// and payload stay, the claim and the back-off end.
    ///
    /// Only if the record is of this generation and [`RecordState::Active`]. If it was already
    /// condemned for this generation, it answers [`Condemned::Done`] for the same attempt and
    /// [`Condemned::Moved`] for another one.
    fn condemn(
        &self,
        key: &RecordKey,
        generation: u64,
        reason: ReauthorizationReason,
        attempt: AttemptId,
    ) -> impl Future<Output = Result<Condemned, StoreError>> + Send;

    /// Notes that `attempt` is about to spend the refresh token of `generation`, for `lease`.
    ///
    /// In this order: no record → [`ClaimAnswer::Absent`]; another generation, or a record that is
    /// not active → [`ClaimAnswer::Moved`]; claimed by this attempt → its lease starts anew,
    /// [`ClaimAnswer::Claimed`]; claimed by another, whose lease runs → [`ClaimAnswer::Held`];
    /// claimed by another, whose lease is over → [`ClaimAnswer::Lapsed`], unless `taking_over` names
    /// that other attempt: then the claim changes hands and is marked as a replay; backing off →
    /// [`ClaimAnswer::BackingOff`]; free → claimed.
    fn claim(
        &self,
        key: &RecordKey,
        generation: u64,
        attempt: AttemptId,
        lease: Duration,
        taking_over: Option<AttemptId>,
    ) -> impl Future<Output = Result<ClaimAnswer, StoreError>> + Send;

    /// Ends this attempt's claim without a change, and lets nobody claim the record for `back_off`.
    fn release(
        &self,
        key: &RecordKey,
        attempt: AttemptId,
        back_off: Option<Duration>,
    ) -> impl Future<Output = Result<Released, StoreError>> + Send;

    /// Replaces the payload by another form of the same credentials, as when keys change. The
    /// generation stays. Not while the record is claimed.
    fn reseal(
        &self,
        key: &RecordKey,
        generation: u64,
        payload: Payload,
    ) -> impl Future<Output = Result<Resealed, StoreError>> + Send;

    /// Sets a mark that lives for `ttl`, and says whether it was there: the single use of a flow.
    fn once(
        &self,
        key: &OnceKey,
        ttl: Duration,
    ) -> impl Future<Output = Result<OnceAnswer, StoreError>> + Send;

    /// Up to `limit` records of the namespace that pass the filter, in the byte order of their
    /// subjects, behind the subject `after`. No payloads.
    fn list(
        &self,
        namespace: &str,
        after: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> impl Future<Output = Result<Vec<Summary>, StoreError>> + Send;

    /// Removes tombstones older than [`TOMBSTONE_AGE`] and marks whose time is over. Answers how
    /// many.
    fn sweep(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Checks what the store's durability rests on.
    fn health(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether no other process can write to this store. Then what is in the cache need not be
    /// compared with the store from time to time.
    fn is_private(&self) -> bool {
        false
    }
}

/// How long the tombstone of a disconnected subject is kept: 24 hours.
pub const TOMBSTONE_AGE: Duration = Duration::from_secs(24 * 60 * 60);
