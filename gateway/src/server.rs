//! The gateway as a server: its parts put together, its start and its end.

use std::{future::IntoFuture as _, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{any, get},
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use notion_auth::BoxError;
use tokio::{signal, sync::oneshot};
use tower::ServiceExt as _;

use crate::{
    connect::{self, Connect},
    envelope,
    forward::{self, Forward},
    health::{Health, healthz},
    keys::GatewayKeys,
    listen::Listeners,
    settings::Settings,
    vault,
};

/// Time limit for requests to complete at shutdown.
const GRACE: Duration = Duration::from_secs(30);

/// How long refreshes may take then: a call, and its pair to be saved in a store that is away for a minute.
const REFRESHES: Duration = Duration::from_secs(75);

/// Between two looks at the file of keys.
const RELOAD: Duration = Duration::from_secs(5);

/// Between two times that the metrics' samples are put together.
const UPKEEP: Duration = Duration::from_secs(5);

/// Seconds.
const BUCKETS: [f64; 9] = [0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];

/// Serves until a signal says to end.
pub(crate) async fn serve(settings: Settings) -> Result<(), BoxError> {
    let Settings {
        listen,
        keys,
        site,
        connections,
    } = settings;
    let listeners = listen.bind().await?;
    let metrics = metrics()?;
    let has_oauth_client = connections.app.has_oauth_client();
    let (builder, cookie_key) = vault::open(&connections).await?;
    let provider = vault::start(builder).await?;
    tokio::spawn(reload(keys.clone())?);

    let forward = Forward::new(
        provider.clone(),
        keys.clone(),
        &connections.api_url,
        &connections.https,
    )?;
    let mut router = Router::new()
        .route("/v1/{*path}", any(forward::forward))
        .with_state(forward)
        .route("/healthz", get(healthz))
        .with_state(Health::of(provider.clone()))
        .route("/metrics", get(async move || metrics.render()));
    if has_oauth_client {
        println!("Workspaces are connected at {}", site.address("/connect"));
        if !keys.can_connect() {
            tracing::warn!(
                "no key may connect: add KEY=SUBJECT:connect to GATEWAY_KEYS, or a line by `key new --connect`"
            );
        }
        let connect = Connect::new(keys, cookie_key, site.clone(), provider.clone())?;
        router = router.merge(connect::router(connect));
    }
    if !site.prefix().is_empty() {
        // A server in front removes the prefix, or leaves it.
        router = Router::new()
            .nest(site.prefix(), router.clone())
            .merge(router);
    }
    let inner = router.clone();
    let router = router.fallback(async move |request| match without_empty_segments(request) {
        Some(request) => inner.oneshot(request).await.into_response(),
        None => not_found(has_oauth_client),
    });

    let end = signal_to_end()?;
    println!("Listening on http://{}", listeners.first_addr()?);
    run(listeners, router, end).await?;
    provider.shutdown(REFRESHES).await?;
    Ok(())
}

/// Installs the metrics recorder. Call it before the provider is built, because the provider registers its counters then.
fn metrics() -> Result<PrometheusHandle, BoxError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &BUCKETS)?
        .install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// Reads the file of keys again when it changes: every few seconds, and at once by SIGHUP.
fn reload(keys: Arc<GatewayKeys>) -> Result<impl Future<Output = ()>, BoxError> {
    #[cfg(unix)]
    let mut hang_up = signal::unix::signal(signal::unix::SignalKind::hangup())?;
    Ok(async move {
        loop {
            #[cfg(unix)]
            tokio::select! {
                () = tokio::time::sleep(RELOAD) => {}
                _ = hang_up.recv() => {}
            }
            #[cfg(not(unix))]
            tokio::time::sleep(RELOAD).await;
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

/// Serves until a signal comes; then what is under way has [`GRACE`] to end.
async fn run(
    listeners: Listeners,
    router: Router,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<(), BoxError> {
    let (shutting_down, ended) = oneshot::channel();
    let server = axum::serve(listeners, router).with_graceful_shutdown(async {
        end.await;
        tracing::info!("shutting down");
        let _ = shutting_down.send(());
    });
    let limit = async {
        match ended.await {
            Ok(()) => tokio::time::sleep(GRACE).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = server.into_future() => served?,
        () = limit => tracing::warn!("requests that took longer than {GRACE:?} to end were cut off"),
    }
    Ok(())
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
        true => "here are /v1/… (Notion's API), /connect, /healthz and /metrics",
        false => {
            "here are /v1/… (Notion's API), /healthz and /metrics. There is nothing to connect: every key \
             has the token that NOTION_TOKEN is"
        }
    };
    envelope::error(StatusCode::NOT_FOUND, "invalid_request_url", message)
}
