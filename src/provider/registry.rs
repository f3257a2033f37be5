//! How the future of a cache hit finds its entry after a 401: by 16 `Copy` bytes.
//!
//! Threads would contend for the count of a counted reference in each future. Instead, the future holds the provider's
//! number, and this list of providers is read only after a 401.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use super::unauthorized::Unauthorized;
use crate::{cache::EntryVersion, subject::Mode};

/// The number of a provider: even, and never given twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProviderId(NonZeroU32);

const FIRST: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// The registry's calls of a provider.
pub(super) trait RefusedEntries: Send + Sync {
    /// Records a 401 for the entry of this version, unless the subject has a later entry by now.
    fn refused_by_handle(
        self: Arc<Self>,
        hash: u64,
        version: EntryVersion,
        mode: Mode,
        unauthorized: Unauthorized,
    );
}

static PROVIDERS: RwLock<Option<HashMap<ProviderId, Weak<dyn RefusedEntries>>>> = RwLock::new(None);

impl ProviderId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed) << 1;
        Self(NonZeroU32::new(number).unwrap_or(FIRST))
    }

    pub(super) fn register(self, provider: &Arc<impl RefusedEntries + 'static>) {
        let provider = Arc::downgrade(provider);
        PROVIDERS
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_default()
            .insert(self, provider);
    }

    pub(super) fn unregister(self) {
        if let Some(living) = &mut *PROVIDERS.write().unwrap_or_else(PoisonError::into_inner) {
            living.remove(&self);
        }
    }

    fn provider(self) -> Option<Arc<dyn RefusedEntries>> {
        PROVIDERS
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()?
            .get(&self)?
            .upgrade()
    }
}

/// Which cached credentials a request was sent with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryHandle {
    hash: u64,
    version: EntryVersion,
    /// The provider's number, and in the lowest bit whether the request was to refresh.
    provider_and_mode: NonZeroU32,
}

impl EntryHandle {
    /// A handle of no entry, for requests in this mode.
    pub(super) fn new(provider: ProviderId, mode: Mode) -> Self {
        Self {
            hash: 0,
            version: EntryVersion::NONE,
            provider_and_mode: provider.0 | u32::from(mode == Mode::Refreshing),
        }
    }

    /// The handle of an entry of the subject with this hash.
    #[inline]
    pub(crate) fn of(self, hash: u64, version: EntryVersion) -> Self {
        Self {
            hash,
            version,
            ..self
        }
    }

    /// The handle of another entry of the subject.
    pub(crate) fn with_version(self, version: EntryVersion) -> Self {
        Self { version, ..self }
    }

    pub(crate) fn mode(self) -> Mode {
        if self.provider_and_mode.get() & 1 == 1 {
            Mode::Refreshing
        } else {
            Mode::FailFast
        }
    }

    /// Whether it is the handle of this entry of that provider.
    pub(super) fn is_for(self, provider: ProviderId, hash: u64, version: EntryVersion) -> bool {
        let mode = self.mode();
        let own = Self::new(provider, mode).provider_and_mode;
        self.version == version && self.hash == hash && self.provider_and_mode == own
    }

    /// Notes that a 401 answered the request.
    #[cold]
    pub(crate) fn refused(self, unauthorized: Unauthorized) {
        if self.version == EntryVersion::NONE {
            return;
        }
        let provider = NonZeroU32::new(self.provider_and_mode.get() & !1)
            .and_then(|number| ProviderId(number).provider());
        if let Some(provider) = provider {
            provider.refused_by_handle(self.hash, self.version, self.mode(), unauthorized);
        }
    }
}
