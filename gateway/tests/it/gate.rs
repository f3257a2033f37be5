//! The token endpoint behind a gate: a test holds its answers back.

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use notion_auth::testing::{MockNotion, notion::MockNotionService};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower::ServiceExt as _;

pub(super) struct Gate {
    pub(super) token_url: String,
    /// How many answers wait or have waited since the gate was closed.
    waiting: watch::Sender<usize>,
    is_open: watch::Sender<bool>,
}

impl Gate {
    /// An open gate.
    pub(super) async fn before(notion: &MockNotion) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (waiting, is_open) = (watch::Sender::new(0), watch::Sender::new(true));
        let (service, waiters, opened) = (notion.service(), waiting.clone(), is_open.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serve(stream, service.clone(), waiters.clone(), opened.clone());
                tokio::spawn(serving);
            }
        });
        Self {
            token_url: format!("http://{address}/v1/oauth/token"),
            waiting,
            is_open,
        }
    }

    /// Holds back answers from now on.
    pub(super) fn close(&self) {
        self.is_open.send_replace(false);
        self.waiting.send_replace(0);
    }

    /// Waits until the server has decided and the answer is held back.
    pub(super) async fn holds_an_answer(&self) {
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|count| *count > 0).await.expect("a gate");
    }

    pub(super) fn open(&self) {
        self.is_open.send_replace(true);
    }
}

async fn serve(
    stream: TcpStream,
    notion: MockNotionService,
    waiting: watch::Sender<usize>,
    is_open: watch::Sender<bool>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (notion, waiting) = (notion.clone(), waiting.clone());
        let mut is_open = is_open.subscribe();
        async move {
            let answer = notion.oneshot(request).await;
            waiting.send_modify(|count| *count += 1);
            let _ = is_open.wait_for(|open| *open).await;
            answer
        }
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
