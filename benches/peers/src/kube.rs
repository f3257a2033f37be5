//! kube-client: the `AuthLayer` of a config, as `Client::try_from(config)` stacks it.

use std::{env, fs, future::ready, process};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::Empty;
use kube_client::{Config, client::ConfigExt as _, config::AuthInfo};
use serde_json::json;
use tower::{BoxError, Layer as _, Service, service_fn};

use crate::{
    harness::{API, Case, Inner, by, request, send, set_version, take_sent},
    named, token,
};

const FLOOR: &str = "bare service, with a body";

type WithBody = Request<Empty<Bytes>>;

pub(crate) fn floor() -> Case {
    through(FLOOR, inner())
}

/// Credentials as in a pod. The token is cached for a minute. kube-client keeps the cached token when the
/// file is gone.
pub(crate) fn token_file(with_version: bool) -> Case {
    let path = env::temp_dir().join(format!("notion-auth-peers-{}", process::id()));
    fs::write(&path, token()).expect("a file for the token");
    let auth = AuthInfo {
        token_file: Some(path.display().to_string()),
        ..AuthInfo::default()
    };
    let case = with_auth("kube-client, token file", with_version, auth);
    fs::remove_file(path).expect("the file is there");
    case
}

/// Credentials as outside of a cluster: an exec plugin returned a token with an expiry.
pub(crate) fn exec(with_version: bool) -> Case {
    let answer = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": { "token": token(), "expirationTimestamp": "2199-01-01T00:00:00Z" },
    });
    let plugin = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "echo",
        "args": [answer.to_string()],
        "interactiveMode": "Never",
        "provideClusterInfo": false,
    });
    let auth = AuthInfo {
        exec: Some(serde_json::from_value(plugin).expect("a plugin")),
        ..AuthInfo::default()
    };
    with_auth("kube-client, exec plugin", with_version, auth)
}

fn with_auth(name: &str, with_version: bool, auth: AuthInfo) -> Case {
    let mut config = Config::new(API.parse().expect("a URI"));
    config.auth_info = auth;
    let layer = config.auth_layer().expect("credentials");
    let mut service = layer.expect("a layer").layer(inner());
    send(&mut service, request_with_body());
    let sent = take_sent().expect("a request");
    assert!(sent.headers().contains_key(AUTHORIZATION));
    let name = named(name, with_version);
    if with_version {
        through(name, set_version(service))
    } else {
        through(name, service)
    }
}

/// The bare service for requests with a body, which the layer requires, and with the layer's error type.
fn inner() -> impl Service<WithBody, Response = Response<()>, Error = BoxError> + Clone {
    service_fn(|request: WithBody| {
        let Ok(response) = Inner.call(request.map(drop)).into_inner();
        ready(Ok(response))
    })
}

fn through<S: Service<WithBody> + 'static>(name: impl Into<String>, service: S) -> Case {
    Case::new(name, FLOOR, request_with_body, by(service))
}

fn request_with_body() -> WithBody {
    request(500).map(|()| Empty::new())
}
