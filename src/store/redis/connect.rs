use std::time::Duration;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use rustls::crypto::{CryptoProvider, ring};

use super::{
    failure::{self, failed},
    link::PATIENCE,
    store::NAME,
    url,
};
use crate::store::{StoreError, tls};

/// Two of these, and the pause between them, are less than what is waited for altogether.
const CONNECTING: Duration = Duration::from_millis(1_500);
const TRIED_AGAIN: usize = 1;

/// After so long a connection is given up whose other end acknowledges nothing.
const SILENCE: Duration = Duration::from_secs(10);

pub(super) async fn connect(url: &str) -> Result<ConnectionManager, StoreError> {
    let info = prepared(url::check(url)?);
    let with_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let client = if with_tls {
        have_provider();
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(tls::roots(NAME).await?),
        };
        Client::build_with_tls(info, certificates)
    } else {
        Client::open(info)
    };
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(PATIENCE))
        .set_connection_timeout(Some(CONNECTING))
        .set_number_of_retries(TRIED_AGAIN);
    let connected = ConnectionManager::new_with_config(client.map_err(failed)?, config);
    match tokio::time::timeout(PATIENCE, connected).await {
        // Redis waits for the end of a line that never comes.
        Ok(Err(error)) if with_tls && error.is_timeout() => {
            Err(StoreError::unavailable(NAME, SILENT).with_source(error))
        }
        Ok(connected) => connected.map_err(failed),
        Err(_) => Err(failure::too_slow()),
    }
}

fn prepared(info: ConnectionInfo) -> ConnectionInfo {
    // By the newer protocol the manager notices a connection that ends while it is idle.
    let redis = info.redis_settings().clone();
    let redis = redis.set_protocol(ProtocolVersion::RESP3);
    let keepalive = TcpKeepalive::new()
        .with_time(SILENCE)
        .with_interval(SILENCE / 4);
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let tcp = tcp.set_user_timeout(SILENCE);
    info.set_redis_settings(redis).set_tcp_settings(tcp)
}

/// Where the features of a program's dependencies name more than one provider, rustls would panic for
/// want of a choice. Where they name one, it makes that the process's itself.
fn have_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = ring::default_provider().install_default();
    }
}

const SILENT: &str = "the server has not answered in time: it is busy, the network does not reach it, or it does \
                      not speak TLS on that port";
