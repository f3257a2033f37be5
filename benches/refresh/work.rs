//! Work of many tasks, the runtimes that it is done on, and what it takes.

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

/// One thread, whose allocations can be counted and whose processor time can be read.
pub(crate) fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// What an application has: as many threads as there are processors.
pub(crate) fn runtime_of_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().build().expect("a runtime")
}

type NamedRuntime = (&'static str, fn() -> Runtime);
pub(crate) const ONE_THREAD: &str = "one thread";
pub(crate) const RUNTIMES: [NamedRuntime; 2] =
    [("all threads", runtime_of_threads), (ONE_THREAD, runtime)];

/// Works through the items, so many at a time, and says how long that took.
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

/// Does all at once, one task for each, and says when it began and when the last one was done.
///
/// The caller is woken only after the last one, since that would be measured too. The work is begun within its task,
/// which would otherwise have room for it twice.
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

/// Counts this thread's allocations: the work must do all of it on this thread.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(work()));
    (result.expect("the work was done"), info)
}

/// Processor time of this thread in seconds, system calls included; NaN where the system does not say.
pub(crate) fn cpu_of_this_thread() -> f64 {
    cpu(Path::new("/proc/thread-self"))
}

/// The same of all threads that live.
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
