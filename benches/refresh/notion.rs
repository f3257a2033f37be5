use std::{thread, time::Duration};

use notion_auth::{provider::NotionAuthProviderBuilder, testing::MockNotion};
use tokio::{runtime, sync::oneshot};

use crate::support::inner::API;

/// `MockNotion` on a socket, on a thread of its own: nothing that it does is done by a thread that
/// is measured.
pub(crate) struct Notion {
    pub(crate) mock: MockNotion,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Notion {
    pub(crate) fn start(token_delay: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (started, starting) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            runtime().block_on(async {
                let mock = MockNotion::builder()
                    .token_delay(token_delay)
                    // Looking for older ones takes a look at every connection that there is.
                    .reconnect_ends_older(false)
                    .start()
                    .await
                    .expect("a port of 127.0.0.1");
                started.send(mock).expect("somebody waits for it");
                // Its error is the end as well.
                let _ = stopped.await;
            });
        });
        Self {
            mock: starting.recv().expect("MockNotion has started"),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A provider that refreshes here by the built-in transport, and has its API elsewhere.
    pub(crate) fn provider(&self) -> NotionAuthProviderBuilder {
        let builder = self.mock.provider_builder().expect("app credentials");
        builder.api_url(API)
    }
}

impl Drop for Notion {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("MockNotion did not panic");
        }
    }
}

/// One thread, whose allocations can be counted and whose processor time can be read.
pub(crate) fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// What an application has: as many threads as there are processors.
pub(crate) fn runtime_of_threads() -> runtime::Runtime {
    runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
