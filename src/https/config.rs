//! Which root certificates and proxies connections use.

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
/// The platform's: the system's bundle on Linux, the keychain on macOS, the certificate store on
/// Windows. `SSL_CERT_FILE` (a file of certificates in PEM) and `SSL_CERT_DIR` (directories of such
/// files) take their place. Certificates bundled with this crate (Mozilla's) serve only where neither
/// variable is set and the platform has none.
///
/// Certificates are read when they are first needed, once for a configuration and its clones. Reading
/// counts towards the 5 seconds of connecting.
///
/// # Proxies
///
/// | variable | |
/// |---|---|
/// | `HTTPS_PROXY`, else `ALL_PROXY` | `http://[USER:PASSWORD@]HOST:PORT`, or with `https://` (TLS to the proxy) or `socks5://`. `socks5h://` and `socks://` mean the same: the proxy resolves names. Without a scheme, it is `http://` |
/// | `NO_PROXY` | destinations without a proxy, separated by commas or blanks: names (with all names below them; `.name` and `*.name` mean the same), addresses, networks such as `10.0.0.0/8`, or `*`; with `:PORT`, for that port alone. An entry that is none of these is ignored, without an error: the destination is reached through the proxy |
///
/// Names in lower case count as well, after those in upper case. A blank variable counts as unset.
/// Destinations on this machine (`localhost`, 127.0.0.0/8, `[::1]`, `0.0.0.0`, `[::]`) and plain http are never proxied. The
/// proxy sees the destination's name and no request.
#[derive(Clone)]
#[must_use = "a configuration does nothing until a client is made from it"]
pub struct HttpsConfig {
    pub(super) roots: Arc<SharedRoots>,
    pub(super) added_roots: Vec<CertificateDer<'static>>,
    pub(super) proxies: Proxies,
}

impl HttpsConfig {
    /// Reads the variables of this process.
    pub fn from_env() -> Self {
        Self::from_vars(|name| env::var_os(name))
    }

    /// Reads the variables that `get` finds, instead of those of this process. It is called here and not
    /// later; the files that they name are read when they are needed.
    pub fn from_vars(get: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            roots: Arc::new(SharedRoots::new(RootPaths::from_vars(&get))),
            added_roots: Vec::new(),
            proxies: Proxies::from_vars(&get),
        }
    }

    /// Trusts this root certificate as well: one in DER, or any number of them in PEM.
    ///
    /// # Errors
    /// When there is no certificate in it, or one that is damaged. (In `SSL_CERT_FILE`, a damaged one beside
    /// good ones is left out.)
    pub fn add_root_certificate(
        mut self,
        certificate: impl AsRef<[u8]>,
    ) -> Result<Self, AuthError> {
        let mut roots = tls::parse(certificate.as_ref()).ok_or_else(|| {
            AuthError::configuration(
                "add_root_certificate: expected root certificates in PEM, none of them damaged, or one in DER",
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
        // Not the proxies: their passwords are in them.
        f.debug_struct("HttpsConfig")
            .field("root_paths", self.roots.paths())
            .field("added_roots", &self.added_roots.len())
            .finish_non_exhaustive()
    }
}
