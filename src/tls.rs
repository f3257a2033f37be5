//! Trust in servers: the root certificates of the platform, of `SSL_CERT_FILE` and `SSL_CERT_DIR`, of
//! the application.
//!
//! Notion's endpoints, PostgreSQL and Redis are trusted by the same rule.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

#[cfg(feature = "https")]
use rustls::pki_types::pem::PemObject as _;
use rustls::{RootCertStore, pki_types::CertificateDer};
use rustls_native_certs::{CertificateResult, ErrorKind, load_certs_from_paths};

const FILE: &str = "SSL_CERT_FILE";
const DIRS: &str = "SSL_CERT_DIR";

/// Root certificates. Each is one that rustls can use, and there is at least one.
#[derive(Clone, Debug)]
pub(crate) struct Roots(Vec<CertificateDer<'static>>);

/// Why there are no root certificates.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RootsError {
    #[error("{variable}: no root certificate was read from {}: {reason}: {cure}, or unset it", .path.display())]
    Unusable {
        variable: &'static str,
        path: PathBuf,
        reason: String,
        cure: &'static str,
    },
    /// The read did not come to an end.
    #[cfg(feature = "https")]
    #[error(
        "{places}: the root certificates were not read: {reason}: check the disk or network mount that \
         they are on"
    )]
    NotRead { places: String, reason: String },
}

/// Where root certificates are read, if not where the platform has them.
#[derive(Clone, Debug)]
pub(crate) struct RootPaths {
    file: Option<OsString>,
    dirs: Option<OsString>,
}

impl RootPaths {
    /// Takes the variables that `get` finds. A blank one counts as unset.
    pub(crate) fn from_vars(get: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| get(name).filter(|value| !is_blank(value));
        Self {
            file: set(FILE),
            dirs: set(DIRS),
        }
    }

    /// Reads the certificates. The files may be on a slow disk.
    ///
    /// The bundled ones serve only where neither variable is set and the platform has none. If
    /// a variable is set, only its certificates are trusted. If it can't be read, no connection is made.
    pub(crate) fn read(&self) -> Result<Roots, RootsError> {
        if self.file.is_none() && self.dirs.is_none() {
            return Ok(Roots::or_bundled(platform()));
        }
        let mut roots = Vec::new();
        if let Some(file) = &self.file {
            roots.append(&mut read_file(file)?);
        }
        if let Some(dirs) = &self.dirs {
            roots.append(&mut read_dirs(dirs)?);
        }
        Ok(Roots(roots))
    }

    /// The error of a read that did not come to an end. It names the variables that are set.
    #[cfg(feature = "https")]
    pub(crate) fn not_read(&self, reason: &str) -> RootsError {
        let set = [(FILE, &self.file), (DIRS, &self.dirs)];
        let set = set.into_iter().filter_map(|(variable, value)| {
            let path = Path::new(value.as_ref()?);
            Some(format!("{variable}={}", path.display()))
        });
        let mut places = set.collect::<Vec<_>>().join(", ");
        if places.is_empty() {
            places = format!("the system's certificates ({FILE} can name others)");
        }
        RootsError::NotRead {
            places,
            reason: reason.to_owned(),
        }
    }
}

/// Whether the value of a variable counts as unset.
pub(crate) fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| value.trim().is_empty())
}

impl Roots {
    /// Reads the root certificates that the process's environment names, or else the platform's.
    ///
    /// It reads files, which may be on a slow disk.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn from_env() -> Result<Self, RootsError> {
        RootPaths::from_vars(|name| env::var_os(name)).read()
    }

    fn or_bundled(read: CertificateResult) -> Self {
        for error in &read.errors {
            tracing::debug!(%error, "a root certificate of the system was not read");
        }
        let mut roots = usable(read.certs);
        if roots.is_empty() {
            tracing::debug!("the system has no root certificates: the bundled ones are used");
            roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec();
        }
        Self(roots)
    }

    /// The certificates for rustls.
    #[cfg(feature = "https")]
    pub(crate) fn to_store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.0.iter().cloned());
        store
    }

    /// Adds certificates that [`parse`] has found.
    #[cfg(feature = "https")]
    pub(crate) fn extend(&mut self, roots: &[CertificateDer<'static>]) {
        self.0.extend_from_slice(roots);
    }

    /// The certificates as PEM, for libraries that take no other form.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn to_pem(&self) -> Vec<u8> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};

        let mut pem = String::new();
        for root in &self.0 {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            let text = STANDARD.encode(root);
            let mut rest = text.as_str();
            while !rest.is_empty() {
                // RFC 7468 section 2: lines of 64 characters. All of them are ASCII.
                let (line, more) = rest.split_at(rest.len().min(64));
                pem.push_str(line);
                pem.push('\n');
                rest = more;
            }
            pem.push_str("-----END CERTIFICATE-----\n");
        }
        pem.into_bytes()
    }
}

/// The certificates in PEM, or the one in DER. `None` if there is none, or one that is damaged.
#[cfg(feature = "https")]
pub(crate) fn parse(bytes: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    const BEGIN: &[u8] = b"-----BEGIN";

    let found = if bytes.windows(BEGIN.len()).any(|it| it == BEGIN) {
        let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
        found.ok()?
    } else {
        vec![CertificateDer::from(bytes.to_vec())]
    };
    let is_good = !found.is_empty() && found.iter().all(is_usable);
    is_good.then_some(found)
}

fn read_file(file: &OsStr) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let path = Path::new(file);
    let unusable = |reason| RootsError::Unusable {
        variable: FILE,
        path: path.to_owned(),
        reason,
        cure: "set it to a file of certificates in PEM",
    };
    // A pipe or a device may never end.
    if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return Err(unusable("it is not a regular file".to_owned()));
    }
    let mut read = load_certs_from_paths(Some(path), None);
    let reason = reason(&read, "it has no certificate in PEM");
    let roots = usable(std::mem::take(&mut read.certs));
    if roots.is_empty() {
        return Err(unusable(reason));
    }
    warn(FILE, &read);
    Ok(roots)
}

/// One directory of the list with a certificate is enough, as for OpenSSL.
fn read_dirs(dirs: &OsStr) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let mut all = CertificateResult::default();
    for dir in env::split_paths(dirs).filter(|dir| !dir.as_os_str().is_empty()) {
        let mut read = load_certs_from_paths(None, Some(&dir));
        all.certs.append(&mut read.certs);
        all.errors.append(&mut read.errors);
    }
    let reason = reason(&all, "no file in it has a certificate in PEM");
    let roots = usable(std::mem::take(&mut all.certs));
    if roots.is_empty() {
        return Err(RootsError::Unusable {
            variable: DIRS,
            path: dirs.into(),
            reason,
            cure: "set it to a directory with files of certificates in PEM",
        });
    }
    warn(DIRS, &all);
    Ok(roots)
}

/// Why nothing usable was read.
fn reason(read: &CertificateResult, empty: &str) -> String {
    match read.errors.first().map(|error| &error.kind) {
        Some(ErrorKind::Io { inner, .. }) => inner.to_string(),
        None if read.certs.is_empty() => empty.to_owned(),
        _ => "the certificates in it are damaged".to_owned(),
    }
}

fn warn(variable: &str, read: &CertificateResult) {
    for error in &read.errors {
        tracing::warn!(variable, %error, "a root certificate was not read; the others are used");
    }
}

/// Those that rustls can use, each once: systems have a file and a directory of the same.
fn usable(mut certificates: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other));
    certificates.dedup();
    certificates.retain(is_usable);
    certificates
}

fn is_usable(root: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(root.clone()).is_ok()
}

/// Where this system keeps its root certificates.
///
/// `load_native_certs` alone would take a variable that is empty for one that is set.
#[cfg(all(unix, not(target_os = "macos")))]
fn platform() -> CertificateResult {
    let found = openssl_probe::probe();
    let mut all = load_certs_from_paths(found.cert_file.as_deref(), None);
    for dir in &found.cert_dir {
        let mut read = load_certs_from_paths(None, Some(dir));
        all.certs.append(&mut read.certs);
        all.errors.append(&mut read.errors);
    }
    all
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn platform() -> CertificateResult {
    rustls_native_certs::load_native_certs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_roots_serve_only_where_the_platform_has_none() {
        let bundled = Roots::or_bundled(CertificateResult::default()).0;
        assert!(bundled.len() > 50);
        let mut read = CertificateResult::default();
        read.certs.extend(bundled[..2].iter().cloned());
        assert_eq!(Roots::or_bundled(read).0.len(), 2);
        // Certificates that rustls can't parse are ignored.
        let mut read = CertificateResult::default();
        read.certs.push(CertificateDer::from(vec![1, 2, 3]));
        assert_eq!(Roots::or_bundled(read).0, bundled);
    }

    #[cfg(all(feature = "https", any(feature = "postgres", feature = "redis")))]
    #[test]
    fn roots_as_pem_are_the_same_roots() {
        let roots = Roots::or_bundled(CertificateResult::default());
        let pem = roots.to_pem();
        assert_eq!(parse(&pem), Some(roots.0));
        let longest = pem.split(|&it| it == b'\n').map(<[u8]>::len).max();
        assert_eq!(longest, Some(64));
    }
}
