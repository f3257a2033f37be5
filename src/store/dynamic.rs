use std::{fmt, pin::Pin, time::Duration};

use super::{
    AttemptId, ClaimAnswer, Condemned, CredentialStore, Expected, Filter, NewRecord, Record,
    RecordKey, Released, Saved, StoreError, Summary,
};
#[cfg(feature = "routes")]
use super::{OnceAnswer, OnceKey};
#[cfg(feature = "encryption")]
use super::{Payload, Resealed};
use crate::credentials::ReauthorizationReason;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`CredentialStore`] as an object, so that the provider has no type parameters. The contract is
/// there; this only boxes.
pub(crate) trait DynStore: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn is_persistent(&self) -> bool;
    fn load<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, Option<Record>>;
    fn save<'a>(
        &'a self,
        key: &'a RecordKey,
        new: NewRecord,
        expected: Expected,
        attempt: AttemptId,
    ) -> Answer<'a, Saved>;
    fn condemn<'a>(
        &'a self,
        key: &'a RecordKey,
        generation: u64,
        reason: ReauthorizationReason,
        attempt: AttemptId,
    ) -> Answer<'a, Condemned>;
    fn claim<'a>(
        &'a self,
        key: &'a RecordKey,
        generation: u64,
        attempt: AttemptId,
        lease: Duration,
        taking_over: Option<AttemptId>,
    ) -> Answer<'a, ClaimAnswer>;
    fn release<'a>(
        &'a self,
        key: &'a RecordKey,
        attempt: AttemptId,
        back_off: Option<Duration>,
    ) -> Answer<'a, Released>;
    #[cfg(feature = "encryption")]
    fn reseal<'a>(
        &'a self,
        key: &'a RecordKey,
        generation: u64,
        payload: Payload,
    ) -> Answer<'a, Resealed>;
    #[cfg(feature = "routes")]
    fn once<'a>(&'a self, key: &'a OnceKey, ttl: Duration) -> Answer<'a, OnceAnswer>;
    fn list<'a>(
        &'a self,
        namespace: &'a str,
        after: Option<&'a str>,
        limit: usize,
        filter: Filter,
    ) -> Answer<'a, Vec<Summary>>;
    fn sweep(&self) -> Answer<'_, u64>;
    fn health(&self) -> Answer<'_, ()>;
}

impl<S: CredentialStore> DynStore for S {
    fn name(&self) -> &'static str {
        CredentialStore::name(self)
    }

    fn is_persistent(&self) -> bool {
        CredentialStore::is_persistent(self)
    }

    fn load<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, Option<Record>> {
        Box::pin(CredentialStore::load(self, key))
    }

    fn save<'a>(
        &'a self,
        key: &'a RecordKey,
        new: NewRecord,
        expected: Expected,
        attempt: AttemptId,
    ) -> Answer<'a, Saved> {
        Box::pin(CredentialStore::save(self, key, new, expected, attempt))
    }

    fn condemn<'a>(
        &'a self,
        key: &'a RecordKey,
        generation: u64,
        reason: ReauthorizationReason,
        attempt: AttemptId,
    ) -> Answer<'a, Condemned> {
        Box::pin(CredentialStore::condemn(
            self, key, generation, reason, attempt,
        ))
    }

    fn claim<'a>(
        &'a self,
        key: &'a RecordKey,
        generation: u64,
        attempt: AttemptId,
        lease: Duration,
        taking_over: Option<AttemptId>,
    ) -> Answer<'a, ClaimAnswer> {
        Box::pin(CredentialStore::claim(
            self,
            key,
            generation,
            attempt,
            lease,
            taking_over,
        ))
    }

    fn release<'a>(
        &'a self,
        key: &'a RecordKey,
        attempt: AttemptId,
        back_off: Option<Duration>,
    ) -> Answer<'a, Released> {
        Box::pin(CredentialStore::release(self, key, attempt, back_off))
    }

    #[cfg(feature = "encryption")]
    fn reseal<'a>(
        &'a self,
        key: &'a RecordKey,
        generation: u64,
        payload: Payload,
    ) -> Answer<'a, Resealed> {
        Box::pin(CredentialStore::reseal(self, key, generation, payload))
    }

    #[cfg(feature = "routes")]
    fn once<'a>(&'a self, key: &'a OnceKey, ttl: Duration) -> Answer<'a, OnceAnswer> {
        Box::pin(CredentialStore::once(self, key, ttl))
    }

    fn list<'a>(
        &'a self,
        namespace: &'a str,
        after: Option<&'a str>,
        limit: usize,
        filter: Filter,
    ) -> Answer<'a, Vec<Summary>> {
        Box::pin(CredentialStore::list(self, namespace, after, limit, filter))
    }

    fn sweep(&self) -> Answer<'_, u64> {
        Box::pin(CredentialStore::sweep(self))
    }

    fn health(&self) -> Answer<'_, ()> {
        Box::pin(CredentialStore::health(self))
    }
}
