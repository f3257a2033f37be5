//! The gateway as a server: its parts put together, its start and its end.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware,
    response::{IntoResponse as _, Response},
    routing::{any, get},
    serve::ListenerExt as _,
};
use metrics::gauge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use notion_auth::{BoxError, Event, NotionAuthProvider};
use tokio::{signal, sync::watch, time::sleep};
use tower::ServiceExt as _;

use crate::{
    access::{self, AccessLog},
    changes::Changes,
    connect::{self, Connect},
    connections, envelope,
    forward::{self, Forward},
    headers,
    health::{self, Health, healthz, readyz},
    host::{self, Hosts},
    keys::GatewayKeys,
    limits::Limits,
    settings::Settings,
    site::Site,
    vault::{self, Vault},
};

/// How long refreshes may take then: a call, and its pair to be saved in a store that is away for a minute.
const REFRESHES: Duration = Duration::from_secs(75);

/// How long the gateway goes on to accept connections after a signal, while `/readyz` says that it is draining.
const DRAIN: Duration = Duration::from_secs(5);

/// A load balancer asks for `/readyz` at least this often. Without one, there is no reason to wait.
const WATCHED: Duration = Duration::from_secs(60);

/// Connections to the address of the metrics.
const METRICS_CONNECTIONS: usize = 64;

/// Between two looks at the file of keys.
const RELOAD: Duration = Duration::from_secs(5);

/// Between two times that the metrics' samples are put together.
const UPKEEP: Duration = Duration::from_secs(5);

/// Seconds.
const BUCKETS: [f64; 9] = [0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];

/// Serves until a signal says to end.
pub(crate) async fn serve(settings: Settings) -> Result<(), BoxError> {
    let listeners = settings.listen.bind().await?;
    let first_addr = listeners.first_addr()?;
    let log = match settings.operation.is_access_logged {
        true => AccessLog::with_words_of(&settings.site),
        false => AccessLog::Off,
    };
    let max_connections = settings.operation.max_connections;
    let (router, current) = watch::channel(behind_prefix(&settings.site, health::starting()));
    let (end, ended) = watch::channel(());
    let metrics_server = match &settings.operation.metrics_listen {
        None => None,
        Some(listen) => {
            let listener = listen.bind().await?;
            let addr = listener.first_addr()?;
            let (router, current) = watch::channel(health::refusing(Router::new()));
            let server = tokio::spawn(connections::serve(
                listener,
                METRICS_CONNECTIONS,
                move || current.borrow().clone(),
                AccessLog::Off,
                is_ended(ended.clone()),
            ));
            Some((addr, router, server))
        }
    };
    let server = tokio::spawn(connections::serve(
        // Small responses must not wait for acknowledgements.
        listeners.tap_io(|stream| drop(stream.set_nodelay(true))),
        max_connections,
        move || current.borrow().clone(),
        log,
        is_ended(ended),
    ));
    let mut signal = pin!(signal_to_end()?);
    let parts = tokio::select! {
        parts = prepare(settings) => parts?,
        () = &mut signal => return Ok(()),
    };
    let mut complete = parts.router;
    match &metrics_server {
        None => complete = complete.merge(parts.metrics),
        Some((addr, router, _)) => {
            router.send_modify(|router| *router = parts.metrics);
            println!("Metrics are at http://{addr}/metrics");
        }
    }
    let complete = behind_prefix(&parts.site, complete);
    router.send_modify(|router| *router = tidied(complete, parts.has_connect));
    println!("Listening on http://{first_addr}");

    signal.await;
    parts.health.drain();
    tracing::info!("shutting down");
    if parts.health.is_watched(WATCHED) {
        sleep(DRAIN).await;
    }
    drop(end);
    server.await?;
    if let Some((_, _, server)) = metrics_server {
        server.await?;
    }
    parts.provider.shutdown(REFRESHES).await?;
    Ok(())
}

/// What is served once the store answers.
struct Parts {
    provider: NotionAuthProvider,
    health: Health,
    site: Site,
    /// Without the metrics.
    router: Router,
    metrics: Router,
    has_connect: bool,
}

/// Opens the store, for which it may have to wait, and puts the routes together.
async fn prepare(settings: Settings) -> Result<Parts, BoxError> {
    let Settings {
        keys,
        site,
        connections: stored,
        operation,
        ..
    } = settings;
    let limits = Arc::new(Limits::new(
        operation.max_requests,
        operation.max_requests_per_subject,
    ));
    let metrics = metrics(limits.clone())?;
    let has_connect = stored.app.has_oauth_client();
    let (observed, changes) = (limits.clone(), Arc::new(Changes::default()));
    let audited = Arc::clone(&changes);
    let Vault {
        builder,
        cookie_key,
        used_links,
    } = vault::open(&stored).await?;
    let builder = builder.observer(move |event: &Event| {
        observed.note(event);
        access::audit(event, &audited);
    });
    let provider = vault::start(builder).await?;
    tokio::spawn(reload(keys.clone())?);

    let health = Health::of(provider.clone());
    let forward = Forward::new(
        provider.clone(),
        keys.clone(),
        limits,
        operation.request_headers,
        stored.api_url,
        &stored.https,
        site.prefix(),
    )?;
    let mut router = Router::new()
        .route("/v1/{*path}", any(forward::forward))
        .with_state(forward)
        .route("/readyz", get(readyz))
        .with_state(health.clone())
        .route("/healthz", get(healthz));
    if has_connect {
        println!("Workspaces are connected at {}", site.address("/connect"));
        if !keys.can_connect() {
            tracing::warn!(
                "no key may connect: add KEY=SUBJECT:connect to GATEWAY_KEYS, or a line by `key new --connect`"
            );
        }
        let hosts = Hosts {
            site: Arc::new(site.clone()),
            keys: Arc::clone(&keys),
        };
        let connect = Connect::new(
            keys,
            cookie_key,
            used_links,
            changes,
            site.clone(),
            provider.clone(),
        )?;
        let connect = connect::router(connect)
            .layer(middleware::from_fn_with_state(hosts, host::only_public))
            .layer(middleware::map_response(async |mut response: Response| {
                headers::make_private(response.headers_mut(), "authorization, cookie");
                response
            }));
        router = router.merge(connect);
    }
    Ok(Parts {
        provider,
        health,
        site,
        router,
        metrics,
        has_connect,
    })
}

/// A server in front removes the prefix, or leaves it.
fn behind_prefix(site: &Site, router: Router) -> Router {
    match site.prefix() {
        "" => router,
        prefix => Router::new().nest(prefix, router.clone()).merge(router),
    }
}

/// Adds what other paths are answered with.
fn tidied(router: Router, has_connect: bool) -> Router {
    let inner = router.clone();
    router.fallback(async move |request| match without_empty_segments(request) {
        Some(request) => inner.oneshot(request).await.into_response(),
        None => not_found(has_connect),
    })
}

async fn is_ended(mut end: watch::Receiver<()>) {
    // An error: the sender was dropped.
    while end.changed().await.is_ok() {}
}

/// Returns the route of the metrics, and installs their recorder. Call it before the provider is built, because the
/// provider registers its counters then.
fn metrics(limits: Arc<Limits>) -> Result<Router, BoxError> {
    let handle: PrometheusHandle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &BUCKETS)?
        .install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let render = async move || {
        let in_flight = u32::try_from(limits.in_flight()).unwrap_or(u32::MAX);
        gauge!("gateway_requests_in_flight").set(in_flight);
        handle.render()
    };
    Ok(Router::new().route("/metrics", get(render)))
}

/// Reads the file of keys again when it changes: every few seconds, and at once by SIGHUP.
fn reload(keys: Arc<GatewayKeys>) -> Result<impl Future<Output = ()>, BoxError> {
    #[cfg(unix)]
    let mut hang_up = signal::unix::signal(signal::unix::SignalKind::hangup())?;
    Ok(async move {
        loop {
            #[cfg(unix)]
            tokio::select! {
                () = sleep(RELOAD) => {}
                _ = hang_up.recv() => {}
            }
            #[cfg(not(unix))]
            sleep(RELOAD).await;
            keys.reload_if_changed();
        }
    })
}

/// A client whose base URL ends with a slash asks for `//v1/…`.
fn without_empty_segments(mut request: Request) -> Option<Request> {
    let target = request.uri().path_and_query()?.as_str();
    let path = target.strip_prefix("//")?.trim_start_matches('/');
    *request.uri_mut() = format!("/{path}").parse().ok()?;
    Some(request)
}

/// Returns a future that ends with SIGTERM or SIGINT. Signals are noticed from this call on, not from the first poll.
#[cfg(unix)]
fn signal_to_end() -> Result<impl Future<Output = ()>, BoxError> {
    use signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signal_to_end() -> Result<impl Future<Output = ()>, BoxError> {
    Ok(async {
        let _ = signal::ctrl_c().await;
    })
}

fn not_found(has_connect: bool) -> Response {
    let message = match has_connect {
        true => "here are /v1/… (Notion's API), /connect, /healthz and /readyz",
        false => {
            "here are /v1/… (Notion's API), /healthz and /readyz. There is nothing to connect: every key \
             has the token that NOTION_TOKEN is"
        }
    };
    envelope::error(StatusCode::NOT_FOUND, "invalid_request_url", message)
}
