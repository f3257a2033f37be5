//! The gateway as a server: its parts put together, its start and its end.

use std::{future::IntoFuture as _, sync::Arc, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    response::Response,
    routing::{any, get},
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use notion_auth::{BoxError, NotionAuthProvider, NotionOAuthService};
use tokio::{net::TcpListener, signal, sync::oneshot};

use crate::{
    connect::{self, Connect},
    envelope,
    forward::{self, Forward},
    health::{Health, healthz},
    settings::Settings,
    vault,
};

/// Time limit for requests to complete at shutdown.
const GRACE: Duration = Duration::from_secs(30);

/// How long refreshes may take then: a call, and its pair to be saved in a store that is away for a minute.
const REFRESHES: Duration = Duration::from_secs(75);

/// Between two purges of expired records.
const PURGE: Duration = Duration::from_secs(60 * 60);

/// Between two times that the metrics' samples are put together.
const UPKEEP: Duration = Duration::from_secs(5);

/// Seconds.
const BUCKETS: [f64; 9] = [0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];

/// Serves until a signal says to end.
pub(crate) async fn serve(settings: Settings) -> Result<(), BoxError> {
    let listener = TcpListener::bind(&settings.listen[..])
        .await
        .map_err(|error| format!("GATEWAY_LISTEN: {:?}: {error}", settings.listen))?;
    let metrics = metrics()?;
    let has_oauth_client = settings.app.has_oauth_client();
    let builder = NotionAuthProvider::builder()
        .app(settings.app)
        .api_url(settings.api_url.as_str().trim_end_matches('/'))
        .https(settings.https.clone());
    let (builder, cookie_key) = vault::open(builder, &settings.database).await?;
    let provider = builder.build()?;
    vault::check(&provider).await?;

    tokio::spawn(purge(provider.clone()));

    let keys = Arc::new(settings.keys);
    let forward = Forward::new(
        provider.clone(),
        keys.clone(),
        &settings.api_url,
        &settings.https,
    )?;
    let mut router = Router::new()
        .route("/v1/{*path}", any(forward::forward))
        .with_state(forward)
        .route("/healthz", get(healthz))
        .with_state(Health::of(provider.clone()))
        .route("/metrics", get(async move || metrics.render()));
    if has_oauth_client {
        println!("Workspaces are connected at {}connect", settings.public_url);
        let connect = Connect::new(
            keys,
            cookie_key,
            settings.public_url.clone(),
            provider.clone(),
        );
        router = router.merge(connect::router(connect, routes(&provider)?));
    }
    let router = router.fallback(async move || not_found(has_oauth_client));

    let end = signal_to_end()?;
    println!("Listening on http://{}", listener.local_addr()?);
    run(listener, router, end).await?;
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

async fn purge(provider: NotionAuthProvider) {
    loop {
        if let Err(error) = provider.purge_expired().await {
            tracing::warn!(%error, "expired records stay in the store for another hour");
        }
        tokio::time::sleep(PURGE).await;
    }
}

fn routes(provider: &NotionAuthProvider) -> Result<NotionOAuthService, BoxError> {
    Ok(provider
        .routes()
        .default_return_target("/connect")
        .build()?)
}

/// Serves until a signal comes; then what is under way has [`GRACE`] to end.
async fn run(
    listener: TcpListener,
    router: Router,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<(), BoxError> {
    let (shutting_down, ended) = oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
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
