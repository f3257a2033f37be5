use std::{error::Error as StdError, fmt, io};

use hyper_util::client::legacy;
use rustls::CertificateError;

use crate::error::{AuthError, causes};

/// Error of a request by [`HttpsClient`](super::HttpsClient).
///
/// If a certificate is not trusted, or an environment variable cannot be used, the message says what to do.
#[derive(Debug)]
pub struct HttpsError(legacy::Error);

impl HttpsError {
    pub(super) fn new(error: legacy::Error) -> Self {
        Self(error)
    }

    /// Whether no connection was established, so that no byte of the request was sent.
    #[must_use]
    pub fn is_not_sent(&self) -> bool {
        self.0.is_connect()
    }
}

impl fmt::Display for HttpsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match connect_error(&self.0) {
            Some(error) => write!(f, "{error}; nothing was sent"),
            None if self.is_not_sent() => f.write_str("no connection; nothing was sent"),
            None => {
                f.write_str("no response came; what the server did with the request is not known")
            }
        }
    }
}

impl StdError for HttpsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The message already contains a connection error.
        match connect_error(&self.0) {
            Some(_) => None,
            None => self.0.source(),
        }
    }
}

/// The reason why a connection could not be established.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ConnectError {
    cause: Cause,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Roots,
    Proxy,
    Certificate,
    Unreached,
}

impl ConnectError {
    /// The root certificates cannot be used.
    pub(super) fn roots(error: impl fmt::Display) -> Self {
        Self {
            cause: Cause::Roots,
            message: error.to_string(),
        }
    }

    /// The proxy's environment variable cannot be used.
    pub(super) fn proxy(error: impl fmt::Display) -> Self {
        Self {
            cause: Cause::Proxy,
            message: error.to_string(),
        }
    }

    /// The TLS handshake with the server `name` failed.
    pub(super) fn of_tls(name: &str, way: &str, error: &(dyn StdError + 'static)) -> Self {
        match certificate_error(error) {
            Some(error) => Self {
                cause: Cause::Certificate,
                message: format!(
                    "the certificate of {name} is not trusted: {}",
                    explained(error)
                ),
            },
            None => Self::unreached(name, way, error),
        }
    }

    pub(super) fn unreached(name: &str, way: &str, error: &(dyn StdError + 'static)) -> Self {
        let mut message = format!("{name} was not reached{way}");
        for cause in causes(error) {
            let cause = cause.to_string();
            // Some errors already contain their source in the message.
            if !message.ends_with(&cause) {
                message.push_str(": ");
                message.push_str(&cause);
            }
        }
        Self {
            cause: Cause::Unreached,
            message,
        }
    }

    /// Converts the error of a check before anything is sent.
    pub(crate) fn into_auth_error(self) -> AuthError {
        let what = match self.cause {
            Cause::Proxy => {
                "the proxy for connections cannot be used: correct HTTPS_PROXY or ALL_PROXY, as \
                 the cause says"
            }
            Cause::Roots | Cause::Certificate | Cause::Unreached => {
                "the root certificates for connections cannot be read: correct SSL_CERT_FILE or \
                 SSL_CERT_DIR, as the cause says"
            }
        };
        AuthError::configuration(what).with_source(self)
    }

    /// Describes a refresh that failed by this error, if the network is reachable but the settings are
    /// wrong.
    pub(crate) fn not_refreshed(&self) -> Option<&'static str> {
        match self.cause {
            Cause::Roots => Some(
                "the credentials could not be refreshed: the root certificates cannot be read, and the \
                 cause says what to do (SSL_CERT_FILE, SSL_CERT_DIR)",
            ),
            Cause::Proxy => Some(
                "the credentials could not be refreshed: the proxy cannot be used, and the cause says what \
                 to do (HTTPS_PROXY, ALL_PROXY)",
            ),
            Cause::Certificate => Some(
                "the credentials could not be refreshed: a certificate on the way to the OAuth \
                 endpoint is not trusted, and the cause says what to do (SSL_CERT_FILE)",
            ),
            Cause::Unreached => None,
        }
    }
}

/// Finds a [`ConnectError`] in `error` or among its sources.
pub(crate) fn connect_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a ConnectError> {
    causes(error).find_map(|error| error.downcast_ref())
}

fn certificate_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a CertificateError> {
    causes(error).find_map(|error| {
        if let Some(rustls::Error::InvalidCertificate(error)) = error.downcast_ref() {
            return Some(error);
        }
        // An `io::Error` has its inner error's source, so the inner error itself would be skipped.
        let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
        certificate_error(inner)
    })
}

/// Describes the defect of a certificate and what to do.
fn explained(error: &CertificateError) -> String {
    use CertificateError as E;

    let text = match error {
        // A bad signature means that the authority known by this name has another key.
        E::UnknownIssuer | E::BadSignature => {
            "none of the root certificates signed it (a private authority, or a proxy that inspects \
             TLS): add that authority's certificate to the system's, name a file with it in \
             SSL_CERT_FILE, or use HttpsConfig::add_root_certificate"
        }
        E::Expired | E::ExpiredContext { .. } => {
            "it has expired: check the clock of this machine, then renew the certificate"
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "it is not valid yet: check the clock of this machine"
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "it is for another name: check the URL, name resolution and proxies"
        }
        // An authority's certificate used as the server's own, as `openssl req -x509` creates.
        E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is an authority's certificate, often a self-signed one: give the server one that an \
             authority signed, and that authority's to SSL_CERT_FILE or \
             HttpsConfig::add_root_certificate"
        }
        other => return format!("{other}: check the server's certificate and SSL_CERT_FILE"),
    };
    text.to_owned()
}
