//! Single-flight: at most one task per key, independent of its callers. It does not depend on what the tasks do.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

/// Goal of a task.
pub(crate) trait Goal: Copy {
    /// Whether the outcome of a task with this goal serves a caller with `other`.
    fn covers(self, other: Self) -> bool;
}

/// The running tasks, by key.
pub(crate) struct SingleFlight<K, G, O> {
    tasks: Mutex<HashMap<K, Running<G, O>>>,
    /// How many tasks run, and how much other work that a shutdown waits for.
    count: watch::Sender<usize>,
}

struct Running<G, O> {
    goal: G,
    progress: watch::Receiver<Progress<O>>,
    interruption: Arc<Notify>,
    /// Whether the task may have got its outcome before the last interruption.
    is_outdated: bool,
}

#[derive(Debug, Clone)]
enum Progress<O> {
    Running,
    /// Outcome for waiters of a task that continues but will take long.
    Delayed(O),
    Done(O),
}

/// A caller that waits for a task.
pub(super) struct Waiter<O> {
    progress: watch::Receiver<Progress<O>>,
    /// Whether the task's goal covers the caller's, and its outcome is not outdated.
    pub(super) is_served: bool,
    /// Whether another caller started the task.
    pub(super) is_joined: bool,
}

/// The task's handle. However the task ends, by an outcome, a panic or the end of its runtime, waiters get an outcome and
/// the key is free.
pub(super) struct Handle<K: Eq + Hash + Clone, G, O> {
    owner: Arc<SingleFlight<K, G, O>>,
    key: K,
    progress: watch::Sender<Progress<O>>,
    interruption: Arc<Notify>,
    /// The outcome of a task that ends without one.
    aborted: fn() -> O,
}

/// Work that [`SingleFlight::idle`] waits for.
pub(crate) struct Tracked(watch::Sender<usize>);

impl<K: Eq + Hash + Clone, G: Goal, O: Clone> SingleFlight<K, G, O> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            tasks: Mutex::default(),
            count: watch::Sender::new(0),
        })
    }

    /// Joins the key's task, or starts one with `start`.
    ///
    /// # Errors
    /// The error of `start`. No task runs then.
    pub(super) fn join<E>(
        self: &Arc<Self>,
        key: &K,
        goal: G,
        aborted: fn() -> O,
        start: impl FnOnce(Handle<K, G, O>) -> Result<(), E>,
    ) -> Result<Waiter<O>, E> {
        let (handle, waiter) = {
            let mut tasks = self.tasks();
            if let Some(running) = tasks.get(key) {
                return Ok(Waiter {
                    progress: running.progress.clone(),
                    is_served: running.goal.covers(goal) && !running.is_outdated,
                    is_joined: true,
                });
            }
            let (sender, progress) = watch::channel(Progress::Running);
            let interruption = Arc::new(Notify::new());
            let waiter = Waiter {
                progress: progress.clone(),
                is_served: true,
                is_joined: false,
            };
            tasks.insert(
                key.clone(),
                Running {
                    goal,
                    progress,
                    interruption: Arc::clone(&interruption),
                    is_outdated: false,
                },
            );
            self.count.send_modify(|count| *count += 1);
            let handle = Handle {
                owner: Arc::clone(self),
                key: key.clone(),
                progress: sender,
                interruption,
                aborted,
            };
            (handle, waiter)
        };
        // Outside the lock, because a dropped handle takes it.
        start(handle)?;
        Ok(waiter)
    }

    /// Ends the pause of the key's task at once, or its next one. The task's outcome serves no later caller.
    pub(crate) fn interrupt(&self, key: &K) {
        if let Some(running) = self.tasks().get_mut(key) {
            running.is_outdated = true;
            running.interruption.notify_one();
        }
    }

    /// Returns when no task runs and nothing is tracked.
    pub(crate) async fn idle(&self) {
        // It fails only if the sender is gone, which `self` holds.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Lets [`idle`](Self::idle) wait for the returned value's drop as well.
    pub(crate) fn track(&self) -> Tracked {
        self.count.send_modify(|count| *count += 1);
        Tracked(self.count.clone())
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<K, Running<G, O>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: Clone> Waiter<O> {
    /// Waits for an outcome of the task. `true` is that of a task which continues. `None` if the task ended without one.
    pub(super) async fn outcome(&mut self) -> Option<(O, bool)> {
        let progress = self
            .progress
            .wait_for(|progress| !matches!(progress, Progress::Running))
            .await;
        match progress.as_deref() {
            Ok(Progress::Done(outcome)) => Some((outcome.clone(), false)),
            Ok(Progress::Delayed(outcome)) => Some((outcome.clone(), true)),
            Ok(Progress::Running) | Err(_) => None,
        }
    }
}

impl<K: Eq + Hash + Clone, G, O> Handle<K, G, O> {
    /// Gives waiters this outcome, while the task continues.
    pub(super) fn delay(&self, outcome: O) {
        self.progress.send_replace(Progress::Delayed(outcome));
    }

    /// Lets callers wait again.
    pub(super) fn resume(&self) {
        self.progress.send_if_modified(|progress| {
            *progress = Progress::Running;
            false
        });
    }

    /// Whether a caller waits.
    pub(super) fn has_waiters(&self) -> bool {
        // One receiver is the entry's own.
        self.progress.receiver_count() > 1
    }

    /// Returns at the next interruption, or at once if there was one since the last return.
    pub(super) async fn interrupted(&self) {
        self.interruption.notified().await;
    }

    /// Ends the task.
    pub(super) fn complete(self, outcome: O) {
        self.finish(outcome);
    }

    fn finish(&self, outcome: O) {
        {
            let mut tasks = self.owner.tasks.lock();
            let tasks = tasks.as_mut().map_err(PoisonError::get_mut);
            let (Ok(tasks) | Err(tasks)) = tasks;
            tasks.remove(&self.key);
        }
        self.progress.send_replace(Progress::Done(outcome));
    }
}

impl<K: Eq + Hash + Clone, G, O> Drop for Handle<K, G, O> {
    fn drop(&mut self) {
        if !matches!(*self.progress.borrow(), Progress::Done(_)) {
            self.finish((self.aborted)());
        }
        self.owner.count.send_modify(|count| *count -= 1);
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Size {
        Small,
        Large,
    }

    impl Goal for Size {
        fn covers(self, other: Self) -> bool {
            self == Self::Large || other == Self::Small
        }
    }

    type Tasks = SingleFlight<&'static str, Size, &'static str>;
    type TaskHandle = Handle<&'static str, Size, &'static str>;

    fn join(tasks: &Arc<Tasks>, size: Size) -> (Waiter<&'static str>, Option<TaskHandle>) {
        let mut started = None;
        let waiter = tasks.join(
            &"key",
            size,
            || "aborted",
            |handle| {
                started = Some(handle);
                Ok::<_, Infallible>(())
            },
        );
        match waiter {
            Ok(waiter) => (waiter, started),
            Err(never) => match never {},
        }
    }

    #[tokio::test]
    async fn callers_share_one_task_and_its_outcome() {
        let tasks = Tasks::new();
        let (mut first, handle) = join(&tasks, Size::Small);
        let (mut second, none) = join(&tasks, Size::Small);
        assert!(none.is_none() && second.is_joined && !first.is_joined);
        handle.expect("the first starts a task").complete("done");
        assert_eq!(first.outcome().await, Some(("done", false)));
        assert_eq!(second.outcome().await, Some(("done", false)));
        assert!(join(&tasks, Size::Small).1.is_some(), "the key is free");
    }

    #[tokio::test]
    async fn a_smaller_goal_does_not_serve_a_larger_one() {
        let tasks = Tasks::new();
        let (_, handle) = join(&tasks, Size::Small);
        assert!(!join(&tasks, Size::Large).0.is_served);
        drop(handle);
        let (_, _handle) = join(&tasks, Size::Large);
        assert!(join(&tasks, Size::Small).0.is_served);
    }

    #[tokio::test]
    async fn an_interrupted_task_serves_earlier_callers_only() {
        let tasks = Tasks::new();
        let (mut first, handle) = join(&tasks, Size::Large);
        tasks.interrupt(&"key");
        let (mut second, none) = join(&tasks, Size::Small);
        assert!(none.is_none() && !second.is_served && first.is_served);
        handle.expect("a task").complete("done");
        assert_eq!(first.outcome().await, Some(("done", false)));
        assert_eq!(second.outcome().await, Some(("done", false)));
        let (next, handle) = join(&tasks, Size::Small);
        assert!(next.is_served && handle.is_some());
    }

    #[tokio::test]
    async fn a_task_that_ends_without_an_outcome_frees_its_key() {
        let tasks = Tasks::new();
        let (mut waiter, handle) = join(&tasks, Size::Small);
        drop(handle);
        assert_eq!(waiter.outcome().await, Some(("aborted", false)));
        tasks.idle().await;
    }

    #[tokio::test]
    async fn waiters_of_a_delayed_task_go_and_later_ones_wait_again() {
        let tasks = Tasks::new();
        let (mut waiter, handle) = join(&tasks, Size::Small);
        let handle = handle.expect("a task");
        handle.delay("later");
        assert_eq!(waiter.outcome().await, Some(("later", true)));
        drop(waiter);
        assert!(!handle.has_waiters());
        handle.resume();
        let (mut waiter, _) = join(&tasks, Size::Small);
        assert!(handle.has_waiters());
        handle.complete("done");
        assert_eq!(waiter.outcome().await, Some(("done", false)));
    }

    #[tokio::test]
    async fn interruption_before_the_pause_ends_that_pause_and_no_other() {
        let tasks = Tasks::new();
        let (_waiter, handle) = join(&tasks, Size::Small);
        let handle = handle.expect("a task");
        tasks.interrupt(&"key");
        tasks.interrupt(&"key");
        handle.interrupted().await;
        let second = tokio::spawn(async move { handle.interrupted().await });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        tasks.interrupt(&"key");
        second.await.expect("it is woken");
    }
}
