//! Runs the work of many tasks on different runtimes, and measures it.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use allocation_counter::AllocationInfo;
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::JoinSet,
};

/// Returns a single-threaded runtime, on which allocations and processor time can be measured.
pub(crate) fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// Returns a runtime as in an application: as many threads as there are processors.
pub(crate) fn runtime_of_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().build().expect("a runtime")
}

type NamedRuntime = (&'static str, fn() -> Runtime);
pub(crate) const ONE_THREAD: &str = "one thread";
pub(crate) const RUNTIMES: [NamedRuntime; 2] =
    [("all threads", runtime_of_threads), (ONE_THREAD, runtime)];

/// Processes the items, `in_flight` at a time. Returns the duration.
pub(crate) async fn at_a_time<I, F, W>(in_flight: usize, items: Vec<I>, work: W) -> Duration
where
    I: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
    W: Fn(I) -> F + Clone + Send + 'static,
{
    let items = Arc::new(Mutex::new(items.into_iter()));
    let start = Instant::now();
    let workers = (0..in_flight).map(|_| {
        let (items, work) = (Arc::clone(&items), work.clone());
        let next = move || items.lock().expect("no worker panicked").next();
        async move {
            while let Some(item) = next() {
                work(item).await;
            }
        }
    });
    workers.collect::<JoinSet<()>>().join_all().await;
    start.elapsed()
}

/// Processes all items at once, one task each. Returns the start of the first and the end of the last task.
///
/// The caller is woken only after the last one, because the wake-up would be measured too. The work is
/// created within its task, whose future would otherwise contain it twice.
pub(crate) async fn all_at_once<I, F, W>(items: Vec<I>, work: W) -> (Instant, Instant)
where
    I: Send + 'static,
    F: Future<Output = ()> + Send,
    W: Fn(I) -> F + Clone + Send + 'static,
{
    let (running, mut all_done) = mpsc::channel::<()>(1);
    let start = Instant::now();
    for item in items {
        let (work, running) = (work.clone(), running.clone());
        tokio::spawn(async move {
            work(item).await;
            drop(running);
        });
    }
    drop(running);
    all_done.recv().await;
    (start, Instant::now())
}

/// Counts the allocations of `work`, which must run on this thread only.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(work()));
    (result.expect("the work was done"), info)
}

/// Returns the processor time of this thread in seconds, including system calls, or NaN if the system does
/// not report it.
pub(crate) fn cpu_of_this_thread() -> f64 {
    cpu(Path::new("/proc/thread-self"))
}

/// Returns the processor time of all live threads.
pub(crate) fn cpu_of_all_threads() -> f64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    threads
        .map(|it| it.map_or(f64::NAN, |it| cpu(&it.path())))
        .sum()
}

fn cpu(thread: &Path) -> f64 {
    let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|it| it.parse::<f64>().ok());
    nanoseconds.map_or(f64::NAN, |it| it / 1e9)
}
