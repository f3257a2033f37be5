//! Requests that change connections, so that the audit log can name their keys.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use notion_auth::Subject;

use crate::keys::Caller;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Connect,
    Disconnect,
}

/// The keys of requests in progress. An event of the library has the subject and not the request.
#[derive(Default)]
pub(crate) struct Changes(Mutex<InProgress>);

type InProgress = HashMap<(Change, Subject), Vec<Arc<str>>>;

impl Changes {
    /// Notes a request until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, change: Change, caller: &Caller) -> Guard {
        let place = (change, caller.subject.clone());
        let mut in_progress = self.lock();
        let keys = in_progress.entry(place.clone()).or_default();
        keys.push(Arc::clone(&caller.key_id));
        Guard {
            changes: Arc::clone(self),
            place,
            key_id: Arc::clone(&caller.key_id),
        }
    }

    /// Returns the key that causes a change of this subject. If requests with several keys make the same change at a time,
    /// each may be the one, and all are named.
    pub(crate) fn key(&self, change: Change, subject: &Subject) -> Option<String> {
        let in_progress = self.lock();
        let mut keys = in_progress.get(&(change, subject.clone()))?.clone();
        keys.sort();
        keys.dedup();
        Some(keys.join(","))
    }

    fn lock(&self) -> MutexGuard<'_, InProgress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that changes a connection.
pub(crate) struct Guard {
    changes: Arc<Changes>,
    place: (Change, Subject),
    key_id: Arc<str>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut in_progress = self.changes.lock();
        if let Entry::Occupied(mut keys) = in_progress.entry(self.place.clone()) {
            let place = keys.get().iter().position(|it| *it == self.key_id);
            if let Some(place) = place {
                keys.get_mut().swap_remove(place);
            }
            if keys.get().is_empty() {
                keys.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(key: &str, subject: &str) -> Caller {
        Caller {
            key_id: key.into(),
            subject: subject.into(),
        }
    }

    #[test]
    fn a_change_is_of_the_keys_whose_requests_are_in_progress() {
        let changes = Arc::new(Changes::default());
        let key = |change, subject: &str| changes.key(change, &subject.into());
        let first = changes.begin(Change::Connect, &caller("one", "ann"));
        let same = changes.begin(Change::Connect, &caller("one", "ann"));
        assert_eq!(key(Change::Connect, "ann").as_deref(), Some("one"));
        assert_eq!(key(Change::Disconnect, "ann"), None);
        assert_eq!(key(Change::Connect, "bob"), None);
        drop(same);
        let second = changes.begin(Change::Connect, &caller("another", "ann"));
        assert_eq!(key(Change::Connect, "ann").as_deref(), Some("another,one"));
        drop(first);
        assert_eq!(key(Change::Connect, "ann").as_deref(), Some("another"));
        drop(second);
        assert!(changes.lock().is_empty());
    }
}
