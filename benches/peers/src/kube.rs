//! kube-client: the `AuthLayer` of a config, as `Client::try_from(config)` stacks it.

use std::{
    cell::RefCell,
    fs,
    future::{Ready, ready},
    hint::black_box,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::Empty;
use kube_client::{
    Config,
    client::ConfigExt as _,
    config::{AuthInfo, ExecConfig, ExecInteractiveMode},
};
use notion_auth::header::NOTION_VERSION;
use serde_json::json;
use tower::{BoxError, Layer as _, Service};
use tower_http::set_header::SetRequestHeaderLayer;

use crate::{
    headers::{Job, token, version},
    poll::now,
    support::{
        inner::{self, BATCH},
        prepared::Prepared,
    },
};

pub(crate) const FLOOR: &str = "bare service, with a body";
pub(crate) const FILE: &str = "kube-client, token file";
pub(crate) const EXEC: &str = "kube-client, exec plugin";

type WithBody = Request<Empty<Bytes>>;

thread_local! {
    static SENT: RefCell<Vec<WithBody>> = RefCell::new(Vec::with_capacity(BATCH));
}

/// As [`inner::Inner`], for requests with a body, which the layer wants, and with its error.
#[derive(Clone, Copy)]
struct Sink;

impl Service<WithBody> for Sink {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: WithBody) -> Self::Future {
        SENT.with_borrow_mut(|sent| sent.push(request));
        ready(Ok(Response::new(())))
    }
}

pub(crate) fn floor() -> Prepared {
    through(FLOOR, Sink)
}

/// As in a pod: the token is kept for a minute. The file is gone afterwards, whereupon kube-client
/// stays with the token that it has.
pub(crate) fn token_file(job: Job) -> Prepared {
    let path = std::env::temp_dir().join(format!("notion-auth-peers-{}", std::process::id()));
    fs::write(&path, token()).expect("a file for the token");
    let case = with_auth(
        &job.name(FILE),
        job,
        AuthInfo {
            token_file: Some(path.display().to_string()),
            ..AuthInfo::default()
        },
    );
    fs::remove_file(path).expect("the file is there");
    case
}

/// As outside of one: a program gave a token that is good for an hour or so.
pub(crate) fn exec(job: Job) -> Prepared {
    let answer = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": { "token": token(), "expirationTimestamp": "2199-01-01T00:00:00Z" },
    });
    let plugin = ExecConfig {
        api_version: Some("client.authentication.k8s.io/v1".to_owned()),
        command: Some("echo".to_owned()),
        args: Some(vec![answer.to_string()]),
        env: None,
        drop_env: None,
        install_hint: None,
        interactive_mode: Some(ExecInteractiveMode::Never),
        provide_cluster_info: false,
        cluster: None,
        other: Default::default(),
    };
    with_auth(
        &job.name(EXEC),
        job,
        AuthInfo {
            exec: Some(plugin),
            ..AuthInfo::default()
        },
    )
}

fn with_auth(name: &str, job: Job, auth: AuthInfo) -> Prepared {
    let mut config = Config::new(inner::API.parse().expect("a URI"));
    config.auth_info = auth;
    let layer = config.auth_layer().expect("credentials");
    let mut service = layer.expect("a layer").layer(Sink);
    send(&mut service, request());
    SENT.with_borrow_mut(|sent| {
        let sent = sent.pop().expect("a request");
        assert!(sent.headers().contains_key(AUTHORIZATION));
    });
    if job.has_version() {
        let set_version = SetRequestHeaderLayer::overriding(NOTION_VERSION, version());
        through(name, set_version.layer(service))
    } else {
        through(name, service)
    }
}

fn through<S>(name: &str, mut service: S) -> Prepared
where
    S: Service<WithBody> + 'static,
{
    let make = || {
        SENT.with_borrow_mut(Vec::clear);
        request()
    };
    Prepared::new(name, make, move |request| send(&mut service, request))
}

fn request() -> WithBody {
    inner::request(500).map(|()| Empty::new())
}

fn send<S: Service<WithBody>>(service: &mut S, request: WithBody) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    drop(black_box(now(service.call(request))));
}
