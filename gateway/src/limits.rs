//! Limits of requests in flight, per subject and in all.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use notion_auth::{Event, Subject};

/// Counts requests from their admission to the end of their response.
pub(crate) struct Limits {
    in_all: usize,
    per_subject: usize,
    /// Refreshes of all subjects. While it stays the same, no subject need be looked up.
    refreshes: AtomicUsize,
    in_flight: Mutex<InFlight>,
}

#[derive(Default)]
struct InFlight {
    requests: usize,
    subjects: HashMap<Subject, OfSubject>,
}

#[derive(Default)]
struct OfSubject {
    requests: usize,
    /// Refreshes that completed while the subject had requests.
    refreshes: usize,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    InAll,
    PerSubject,
}

impl Limits {
    pub(crate) fn new(in_all: usize, per_subject: usize) -> Self {
        Self {
            in_all,
            per_subject,
            refreshes: AtomicUsize::new(0),
            in_flight: Mutex::default(),
        }
    }

    /// Admits a request of the subject until the permit is dropped.
    pub(crate) fn admit(self: &Arc<Self>, subject: &Subject) -> Result<Permit, Reached> {
        let mut in_flight = self.lock();
        if in_flight.requests >= self.in_all {
            return Err(Reached::InAll);
        }
        let of_subject = in_flight.subjects.entry(subject.clone()).or_default();
        if of_subject.requests >= self.per_subject {
            return Err(Reached::PerSubject);
        }
        of_subject.requests += 1;
        let refreshes = of_subject.refreshes;
        let refreshes_in_all = self.refreshes.load(Ordering::Relaxed);
        in_flight.requests += 1;
        drop(in_flight);
        Ok(Permit {
            limits: Arc::clone(self),
            subject: subject.clone(),
            refreshes,
            refreshes_in_all,
        })
    }

    /// Returns the number of requests in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().requests
    }

    /// Notes a refresh, for the access log.
    pub(crate) fn note(&self, event: &Event) {
        if let Event::Refreshed { subject, .. } | Event::Recovered { subject, .. } = event
            && let Some(of_subject) = self.lock().subjects.get_mut(subject)
        {
            of_subject.refreshes += 1;
            self.refreshes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's place among those in flight.
pub(crate) struct Permit {
    limits: Arc<Limits>,
    subject: Subject,
    refreshes: usize,
    refreshes_in_all: usize,
}

impl Permit {
    /// Whether the subject's credentials were refreshed since the request was admitted.
    pub(crate) fn is_refreshed(&self) -> bool {
        if self.limits.refreshes.load(Ordering::Relaxed) == self.refreshes_in_all {
            return false;
        }
        let in_flight = self.limits.lock();
        let of_subject = in_flight.subjects.get(&self.subject);
        of_subject.is_some_and(|of_subject| of_subject.refreshes != self.refreshes)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_flight = self.limits.lock();
        in_flight.requests -= 1;
        if let Entry::Occupied(mut of_subject) = in_flight.subjects.entry(self.subject.clone()) {
            of_subject.get_mut().requests -= 1;
            if of_subject.get().requests == 0 {
                of_subject.remove();
            }
        }
    }
}
