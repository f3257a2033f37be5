//! How the future of a hit finds its way back to the provider when a 401 comes: by 16 `Copy` bytes.
//!
//! A counted reference in every future would cost 10 to 14 ns for each request, and threads would
//! contend for the count, for the sake of an answer that comes once in hours. So the future holds
//! the provider's number, and this list of living providers is asked only when a 401 has come.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{cache::Tag, refusal::Unauthorized, shared::Shared};
use crate::subject::Mode;

/// The number of a provider: even, and never given twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProviderId(NonZeroU32);

const FIRST: NonZeroU32 = NonZeroU32::new(2).unwrap();

static LIVING: RwLock<Option<HashMap<ProviderId, Weak<Shared>>>> = RwLock::new(None);

impl ProviderId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed) << 1;
        Self(NonZeroU32::new(number).unwrap_or(FIRST))
    }

    pub(super) fn register(self, provider: &Arc<Shared>) {
        LIVING
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_default()
            .insert(self, Arc::downgrade(provider));
    }

    pub(super) fn unregister(self) {
        if let Some(living) = &mut *LIVING.write().unwrap_or_else(PoisonError::into_inner) {
            living.remove(&self);
        }
    }

    fn provider(self) -> Option<Arc<Shared>> {
        LIVING
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()?
            .get(&self)?
            .upgrade()
    }
}

/// Which cached credentials a request was sent with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    hash: u64,
    tag: Tag,
    /// The provider's number, and in the lowest bit whether the request was to refresh.
    provider_and_mode: NonZeroU32,
}

impl Ticket {
    /// That of a provider's requests in this mode: of no cached credentials, so that there is nothing
    /// to tell anybody.
    pub(super) fn new(provider: ProviderId, mode: Mode) -> Self {
        Self {
            hash: 0,
            tag: Tag::NONE,
            provider_and_mode: provider.0 | u32::from(mode == Mode::Refreshing),
        }
    }

    /// The same for credentials of the subject with this hash.
    #[inline]
    pub(crate) fn of(self, hash: u64, tag: Tag) -> Self {
        Self { hash, tag, ..self }
    }

    /// The same for other credentials of the subject.
    pub(crate) fn with_tag(self, tag: Tag) -> Self {
        Self { tag, ..self }
    }

    pub(crate) fn mode(self) -> Mode {
        if self.provider_and_mode.get() & 1 == 1 {
            Mode::Refreshing
        } else {
            Mode::FailFast
        }
    }

    /// Whether it is of this entry of that provider.
    pub(super) fn is_for(self, provider: ProviderId, hash: u64, tag: Tag) -> bool {
        let mode = self.mode();
        let own = Self::new(provider, mode).provider_and_mode;
        self.tag == tag && self.hash == hash && self.provider_and_mode == own
    }

    /// The request was answered with a 401: its credentials are refused, if they are still the
    /// subject's current ones.
    #[cold]
    pub(crate) fn refused(self, unauthorized: Unauthorized) {
        if self.tag == Tag::NONE {
            return;
        }
        let provider = NonZeroU32::new(self.provider_and_mode.get() & !1)
            .and_then(|number| ProviderId(number).provider());
        if let Some(provider) = provider {
            provider.refused_by_ticket(self.hash, self.tag, self.mode(), unauthorized);
        }
    }
}
