//! Root certificates and proxies of connections.

use std::{env, ffi::OsString, fmt, sync::Arc};

use rustls::pki_types::CertificateDer;

use super::{proxy::Proxies, roots::SharedRoots};
use crate::{
    error::AuthError,
    tls::{self, RootPaths},
};

/// Root certificates and proxies of the built-in client and OAuth transport.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use notion_auth::{HttpsConfig, NotionAuthLayer, NotionAuthProvider};
/// use tower::Layer;
///
/// # fn example(
/// #     app: notion_auth::NotionAppCredentials,
/// #     pem: Vec<u8>,
/// # ) -> Result<(), notion_auth::BoxError> {
/// let https = HttpsConfig::from_env().add_root_certificate(pem)?;
/// let provider = NotionAuthProvider::builder()
///     .app(app)
///     .https(https.clone())
///     .build()?;
/// let client = NotionAuthLayer::refreshing(provider).layer(https.client::<Full<Bytes>>());
/// # Ok(()) }
/// ```
///
/// # Root certificates
///
/// By default, the platform's root certificates are trusted: the system's bundle on Linux, the keychain on
/// macOS, the certificate store on Windows. `SSL_CERT_FILE` (a file of certificates in PEM) and
/// `SSL_CERT_DIR` (directories of such files) replace them. Mozilla's certificates, which are bundled with
/// this crate, are used only if neither variable is set and the platform has none.
///
/// Certificates are read when the first connection needs them, once for a configuration and its clones.
/// Reading counts towards the time limit of 5 seconds for connecting.
///
/// # Proxies
///
/// | variable | |
/// |---|---|
/// | `HTTPS_PROXY`, else `ALL_PROXY` | `http://[USER:PASSWORD@]HOST:PORT`, or with `https://` (TLS to the proxy) or `socks5://`. `socks5h://` and `socks://` mean the same: the proxy resolves names. Without a scheme, it is `http://` |
/// | `NO_PROXY` | destinations without a proxy, separated by commas or blanks: names (including all subdomains; `.name` and `*.name` mean the same), addresses, networks such as `10.0.0.0/8`, or `*`; with `:PORT`, only that port. Any other entry is ignored without an error, and its destination is reached through the proxy |
///
/// Lower-case names of the variables are accepted too, with lower precedence. A blank variable counts as
/// unset. Connections to this machine (`localhost`, 127.0.0.0/8, `[::1]`, `0.0.0.0`, `[::]`) and plain http
/// never use a proxy. The proxy sees the destination's name and port, but no request.
#[derive(Clone)]
#[must_use = "a configuration does nothing until a client is made from it"]
pub struct HttpsConfig {
    pub(super) roots: Arc<SharedRoots>,
    pub(super) added_roots: Vec<CertificateDer<'static>>,
    pub(super) proxies: Proxies,
    pub(super) http1_only: bool,
}

impl HttpsConfig {
    /// Reads the configuration from this process's environment.
    pub fn from_env() -> Self {
        Self::from_vars(|name| env::var_os(name))
    }

    /// Reads the configuration from variables that `get` returns by name.
    ///
    /// `get` is called before this function returns. The files that the variables name are read when they
    /// are needed.
    pub fn from_vars(get: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            roots: Arc::new(SharedRoots::new(RootPaths::from_vars(&get))),
            added_roots: Vec::new(),
            proxies: Proxies::from_vars(&get),
            http1_only: false,
        }
    }

    /// Makes clients speak HTTP/1.1 only. By default they speak HTTP/2 where the server does.
    ///
    /// Requests on an HTTP/2 connection share its flow control: responses that are not read hold up all others. A proxy whose
    /// callers must not affect each other therefore needs HTTP/1.1.
    pub fn http1_only(mut self) -> Self {
        self.http1_only = true;
        self
    }

    /// Adds trusted root certificates: one in DER, or any number in PEM.
    ///
    /// # Errors
    /// If there is no certificate, or one is damaged. (In `SSL_CERT_FILE`, damaged certificates are skipped
    /// if there are valid ones.)
    pub fn add_root_certificate(
        mut self,
        certificate: impl AsRef<[u8]>,
    ) -> Result<Self, AuthError> {
        let mut roots = tls::parse(certificate.as_ref()).ok_or_else(|| {
            AuthError::configuration(
                "add_root_certificate: expected undamaged root certificates in PEM, or one in DER",
            )
        })?;
        self.added_roots.append(&mut roots);
        Ok(self)
    }
}

impl Default for HttpsConfig {
    fn default() -> Self {
        Self::from_env()
    }
}

impl fmt::Debug for HttpsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The proxies are left out, because they contain passwords.
        f.debug_struct("HttpsConfig")
            .field("root_paths", self.roots.paths())
            .field("added_roots", &self.added_roots.len())
            .finish_non_exhaustive()
    }
}
