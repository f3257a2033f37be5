//! Many things done at once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::JoinSet};

/// Works through the items, so many at a time, and says how long that took.
pub(crate) async fn at_a_time<I, F, W>(in_flight: usize, items: Vec<I>, work: W) -> Duration
where
    I: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
    W: Fn(I) -> F + Clone + Send + 'static,
{
    let items = Arc::new(Mutex::new(items.into_iter()));
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..in_flight {
        let (items, work) = (Arc::clone(&items), work.clone());
        workers.spawn(async move {
            loop {
                let item = items.lock().unwrap_or_else(PoisonError::into_inner).next();
                match item {
                    Some(item) => work(item).await,
                    None => break,
                }
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.expect("no worker panicked");
    }
    start.elapsed()
}

/// Does all at once, one task for each, and says when it began and when the last one was done.
///
/// Nobody is woken for any but the last: that would be measured too. The work is begun within its task,
/// which would otherwise have room for it twice.
pub(crate) async fn all_at_once<I, F, W>(items: Vec<I>, work: W) -> (Instant, Instant)
where
    I: Send + 'static,
    F: Future<Output = ()> + Send,
    W: Fn(I) -> F + Clone + Send + 'static,
{
    let (sender, last) = oneshot::channel();
    let last_out = Arc::new(LastOut(Mutex::new(Some(sender))));
    let start = Instant::now();
    for item in items {
        let (work, last_out) = (work.clone(), Arc::clone(&last_out));
        tokio::spawn(async move {
            work(item).await;
            drop(last_out);
        });
    }
    drop(last_out);
    (start, last.await.expect("the last one says so"))
}

struct LastOut(Mutex<Option<oneshot::Sender<Instant>>>);

impl Drop for LastOut {
    fn drop(&mut self) {
        let sender = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = sender.take() {
            // Nobody waits any more when the runtime was ended.
            let _ = sender.send(Instant::now());
        }
    }
}
