use std::{
    future::pending,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use notion_auth::provider::Failpoint;
use tokio::time::{Instant, sleep_until};

use super::history::History;

/// Whether a process is running.
pub(super) struct Life {
    state: Mutex<State>,
    history: History,
}

#[derive(Default)]
struct State {
    is_dead: bool,
    asleep_until: Option<Instant>,
    armed: Vec<(Failpoint, Stop)>,
}

/// What happens to a process at a failpoint.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    Die,
    Sleep(Duration),
}

impl Life {
    pub(super) fn new(history: History) -> Self {
        Self {
            state: Mutex::default(),
            history,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Stops the process when it next reaches this failpoint.
    pub(super) fn arm(&self, point: Failpoint, stop: Stop) {
        self.state().armed.push((point, stop));
    }

    pub(super) fn stop(&self, stop: Stop) {
        self.history.excuse();
        let mut state = self.state();
        match stop {
            Stop::Die => state.is_dead = true,
            Stop::Sleep(time) => state.asleep_until = Some(Instant::now() + time),
        }
    }

    pub(super) fn disarm(&self) {
        self.state().armed.clear();
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    pub(super) async fn reach(&self, point: Failpoint) {
        let armed = {
            let mut state = self.state();
            let at = state.armed.iter().position(|(at, _)| *at == point);
            at.map(|at| state.armed.remove(at).1)
        };
        if let Some(stop) = armed {
            self.stop(stop);
        }
        self.pass().await;
    }

    /// Waits until the process is running. Never returns if it is dead.
    pub(super) async fn pass(&self) {
        loop {
            let (is_dead, asleep_until) = {
                let state = self.state();
                (state.is_dead, state.asleep_until)
            };
            if is_dead {
                pending::<()>().await;
            }
            match asleep_until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }
}
