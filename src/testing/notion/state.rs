//! State shared by all handles, services and connections of a server.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::request::Parts;
use tokio::{sync::watch, time::Instant};

use super::{
    fault::{Call, Fault, Script},
    grants::Grants,
    ledger::Outcome,
    log::{Log, Presented},
    mint::{self, Id},
    options::Options,
    pages::Pages,
    respond::Reply,
};

pub(super) struct Shared {
    pub(super) base_url: String,
    pub(super) options: Options,
    started: Instant,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) grants: Grants,
    pub(super) pages: Pages,
    pub(super) faults: Script,
    pub(super) log: Log,
    pub(super) restricted: HashSet<String>,
    pub(super) held_back: usize,
    requests: u64,
}

impl Shared {
    pub(super) fn new(base_url: String, options: Options) -> Self {
        Self {
            base_url,
            options,
            started: Instant::now(),
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes tasks that wait for a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_replace(());
        result
    }

    /// Waits until the token that a family had after `born_at` refreshes was replaced.
    pub(super) async fn moved_on(&self, family: usize, born_at: u64) {
        let mut changed = self.changed.subscribe();
        loop {
            let moved = {
                let state = self.lock();
                let family = state.grants.family(family);
                !family.alive || family.refreshes > born_at
            };
            // The sender is owned by `self`, so `changed` cannot fail here.
            if moved || changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Records a call and takes its next fault, in one step.
    pub(super) fn arrived(
        self: &Arc<Self>,
        call: Call,
        head: &Parts,
        presented: Option<Presented>,
    ) -> (Handling, Fault) {
        let mut state = self.lock();
        let presented = presented.map(|mut presented| {
            if let Some((kind, bot_id)) = state.grants.identify(&presented.token) {
                presented.token_kind = kind;
                presented.bot_id = Some(bot_id.to_owned());
            }
            presented
        });
        let at = self.started.elapsed();
        let seq = state.log.arrived(at, call, head, presented);
        let fault = state.faults.next(call);
        drop(state);
        let handling = Handling {
            shared: Arc::clone(self),
            seq,
            answered: false,
        };
        (handling, fault)
    }
}

impl State {
    pub(super) fn request_id(&mut self) -> String {
        self.requests += 1;
        mint::id(Id::Request, self.requests)
    }
}

/// The response to a call, and its outcome for the ledger.
pub(super) struct Decision {
    pub(super) reply: Reply,
    pub(super) outcome: Outcome,
    /// The family whose next refresh the response waits for, and the number of its refreshes so far.
    pub(super) hold: Option<(usize, u64)>,
}

/// A call that is being processed. On drop, the ledger records whether it was answered.
pub(super) struct Handling {
    shared: Arc<Shared>,
    pub(super) seq: u64,
    answered: bool,
}

impl Handling {
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.shared.lock().log.left(self.seq, self.answered);
    }
}
