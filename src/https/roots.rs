//! Reads the environment's root certificates once for all connections of a configuration.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::tls::{RootPaths, Roots, RootsError};

type ReadResult = Result<Roots, RootsError>;

/// `None` while the read is running.
type Reading = watch::Receiver<Option<ReadResult>>;

/// Root certificates that are read at most once at a time, however many connections wait for them.
///
/// The read runs on its own thread, because a read from a dead network mount may never return. This keeps
/// the runtime's blocking threads free, and the runtime's shutdown does not wait for it.
pub(super) struct SharedRoots {
    paths: RootPaths,
    read: fn(&RootPaths) -> ReadResult,
    reading: Mutex<Option<Reading>>,
}

impl SharedRoots {
    pub(super) fn new(paths: RootPaths) -> Self {
        Self {
            paths,
            read: RootPaths::read,
            reading: Mutex::default(),
        }
    }

    pub(super) fn paths(&self) -> &RootPaths {
        &self.paths
    }

    /// Waits for the certificates until the deadline, which is `limit` after the start of the caller's
    /// operation.
    pub(super) async fn get(&self, deadline: Instant, limit: Duration) -> ReadResult {
        let waited = timeout_at(deadline, wait(self.reading())).await;
        self.finished(waited.ok(), limit)
    }

    /// Waits for the certificates outside of a runtime.
    pub(super) fn get_blocking(&self, limit: Duration) -> ReadResult {
        let waited = block_on(wait(self.reading()), limit);
        self.finished(waited, limit)
    }

    fn finished(&self, waited: Option<Option<ReadResult>>, limit: Duration) -> ReadResult {
        match waited {
            Some(Some(result)) => result,
            Some(None) => Err(self.paths.not_read("the thread that reads them failed")),
            None => Err(self.paths.not_read(&format!("no answer within {limit:?}"))),
        }
    }

    /// Returns the read that is running or has succeeded. Starts a new one after a failure.
    fn reading(&self) -> Reading {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        match &*reading {
            Some(reading) if !has_failed(reading) => reading.clone(),
            _ => reading.insert(self.start()).clone(),
        }
    }

    fn start(&self) -> Reading {
        let (sender, receiver) = watch::channel(None);
        let (read, paths) = (self.read, self.paths.clone());
        let thread = thread::Builder::new().name("notion-auth-roots".to_owned());
        let started = thread.spawn(move || sender.send_replace(Some(read(&paths))));
        // If the thread could not be started, the sender is dropped, and the waiters see that.
        if let Err(error) = started {
            tracing::warn!(%error, "could not start a thread to read the root certificates");
        }
        receiver
    }
}

fn has_failed(reading: &Reading) -> bool {
    match &*reading.borrow() {
        Some(result) => result.is_err(),
        None => reading.has_changed().is_err(),
    }
}

/// Returns `None` if the thread ended without a result.
async fn wait(mut reading: Reading) -> Option<ReadResult> {
    let result = reading.wait_for(Option::is_some).await;
    result.ok().and_then(|result| result.clone())
}

/// Returns `None` if the time limit passed.
fn block_on<T>(future: impl Future<Output = T>, limit: Duration) -> Option<T> {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let begun = std::time::Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        thread::park_timeout(limit.checked_sub(begun.elapsed())?);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Condvar,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    static READS: AtomicUsize = AtomicUsize::new(0);
    static IS_HUNG: (Mutex<bool>, Condvar) = (Mutex::new(true), Condvar::new());

    /// Hangs until it is released, like a read from a dead network mount.
    fn hung(paths: &RootPaths) -> ReadResult {
        let read = READS.fetch_add(1, Ordering::SeqCst);
        let is_hung = IS_HUNG.0.lock().unwrap_or_else(PoisonError::into_inner);
        let released = IS_HUNG.1.wait_while(is_hung, |is_hung| *is_hung);
        drop(released);
        match read {
            0 => Err(paths.not_read("stale file handle")),
            _ => RootPaths::from_vars(|_| None).read(),
        }
    }

    #[test]
    fn hung_read_ends_at_the_limit_and_is_shared() {
        let roots = SharedRoots {
            paths: RootPaths::from_vars(|name| (name == "SSL_CERT_FILE").then(|| "/dead".into())),
            read: hung,
            reading: Mutex::default(),
        };
        let paused = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let paused = paused.unwrap_or_else(|error| unreachable!("{error}"));
        let get = async || roots.get(Instant::now() + LIMIT, LIMIT).await;
        let (one, two) = paused.block_on(async { tokio::join!(get(), get()) });
        let three = roots.get_blocking(Duration::ZERO);
        for result in [one, two, three] {
            let text = result.err().map(|error| error.to_string());
            let text = text.unwrap_or_default();
            assert!(text.contains("SSL_CERT_FILE"), "{text}");
            assert!(text.contains("/dead"), "{text}");
            assert!(text.contains("no answer within"), "{text}");
        }

        *IS_HUNG.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
        IS_HUNG.1.notify_all();
        let minutes = Duration::from_secs(600);
        // The first read fails, and its failure starts another read. Success is kept.
        assert!(roots.get_blocking(minutes).is_err());
        assert_eq!(READS.load(Ordering::SeqCst), 1);
        for _ in 0..2 {
            assert!(roots.get_blocking(minutes).is_ok());
        }
        assert_eq!(READS.load(Ordering::SeqCst), 2);
    }
}
