//! TLS to the servers of stores: root certificates, and descriptions of handshake errors.

use std::io;

use rustls::{CertificateError, Error as TlsError};

use super::StoreError;
use crate::tls::Roots;

/// Returns the process's root certificates in PEM.
pub(super) async fn roots(store: &'static str) -> Result<Vec<u8>, StoreError> {
    match tokio::task::spawn_blocking(Roots::from_env).await {
        Ok(Ok(roots)) => Ok(roots.to_pem()),
        Ok(Err(error)) => {
            let message = format!("the root certificates for TLS cannot be read: {error}");
            Err(StoreError::misconfigured(store, message))
        }
        // Reading fails only because the runtime is shutting down.
        Err(error) => {
            Err(StoreError::unavailable(store, "this process is shutting down").with_source(error))
        }
    }
}

/// Returns rustls's error from inside a connection's error.
pub(super) fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// Describes a failed handshake and what to do. `own_root` names other ways to trust an authority.
pub(super) fn handshake_failed(error: &TlsError, own_root: &str) -> String {
    match error {
        TlsError::InvalidCertificate(problem) => match problem {
            // A bad signature means that another authority with the same name signed it.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "the server's certificate is not trusted, because its authority is unknown: set SSL_CERT_FILE \
                 to a file with the authority's certificate in PEM{own_root}"
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host: write a host in the URL that the certificate \
                 names"
                    .to_owned()
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate has expired, or is not valid yet: renew it, and check the clock of \
                 this machine"
                    .to_owned()
            }
            _ => "the server's certificate is not accepted: see the cause".to_owned(),
        },
        TlsError::InvalidMessage(_) => {
            "the server does not speak TLS on that port: check the port, and the server's TLS settings"
                .to_owned()
        }
        _ => "the TLS handshake failed: see the cause, and the server's log".to_owned(),
    }
}
