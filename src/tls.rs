//! Root certificates of TLS connections: the platform's, those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, and
//! the application's.
//!
//! The same rule applies to Notion's endpoints, PostgreSQL and Redis.

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

/// Root certificates that rustls accepts. There is at least one.
#[derive(Clone, Debug)]
pub(crate) struct Roots(Vec<CertificateDer<'static>>);

/// The reason why there are no root certificates.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RootsError {
    #[error("{variable}: no root certificate was read from {}: {reason}: {remedy}, or unset it", .path.display())]
    Unusable {
        variable: &'static str,
        path: PathBuf,
        reason: String,
        remedy: &'static str,
    },
    /// The read did not complete.
    #[cfg(feature = "https")]
    #[error(
        "{places}: the root certificates were not read: {reason}: check the disk or network mount that \
         they are on"
    )]
    NotRead { places: String, reason: String },
}

/// Locations of root certificates that replace the platform's.
#[derive(Clone, Debug)]
pub(crate) struct RootPaths {
    file: Option<OsString>,
    dirs: Option<OsString>,
}

impl RootPaths {
    /// Reads the variables by `get`. A blank variable counts as unset.
    pub(crate) fn from_vars(get: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| get(name).filter(|value| !is_blank(value));
        Self {
            file: set(FILE),
            dirs: set(DIRS),
        }
    }

    /// Reads the certificates. This may block, because the files may be on a slow disk.
    ///
    /// If a variable is set, only its certificates are trusted, and it is an error if they cannot be read.
    /// The bundled certificates are used only if neither variable is set and the platform has none.
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

    /// Returns the error of a read that did not complete. It names the variables that are set.
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

/// Returns whether the value of a variable counts as unset.
pub(crate) fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| value.trim().is_empty())
}

impl Roots {
    /// Reads the root certificates that the process's environment configures, or the platform's.
    ///
    /// This may block, because the files may be on a slow disk.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn from_env() -> Result<Self, RootsError> {
        RootPaths::from_vars(|name| env::var_os(name)).read()
    }

    fn or_bundled(read: CertificateResult) -> Self {
        for error in &read.errors {
            tracing::debug!(%error, "could not read one of the system's root certificates");
        }
        let mut roots = usable(read.certs);
        if roots.is_empty() {
            tracing::debug!("the system has no root certificates: using the bundled ones");
            roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec();
        }
        Self(roots)
    }

    /// Converts the certificates for rustls.
    #[cfg(feature = "https")]
    pub(crate) fn to_store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.0.iter().cloned());
        store
    }

    /// Adds certificates that were parsed by [`parse`].
    #[cfg(feature = "https")]
    pub(crate) fn extend(&mut self, roots: &[CertificateDer<'static>]) {
        self.0.extend_from_slice(roots);
    }

    /// Encodes the certificates as PEM, for libraries that accept no other format.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn to_pem(&self) -> Vec<u8> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};

        let mut pem = String::new();
        for root in &self.0 {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            let text = STANDARD.encode(root);
            let mut rest = text.as_str();
            while !rest.is_empty() {
                // Lines have 64 characters (RFC 7468 section 2). All of them are ASCII.
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

/// Parses certificates in PEM, or one in DER. Returns `None` if there is none, or one is damaged.
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
        remedy: "set it to a file of certificates in PEM",
    };
    // Reading from a pipe or a device may never end.
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

/// Reads the certificates of all directories. As in OpenSSL, one directory with a certificate is enough.
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
            remedy: "set it to a directory with files of certificates in PEM",
        });
    }
    warn(DIRS, &all);
    Ok(roots)
}

/// Describes why no usable certificate was read.
fn reason(read: &CertificateResult, empty: &str) -> String {
    match read.errors.first().map(|error| &error.kind) {
        Some(ErrorKind::Io { inner, .. }) => inner.to_string(),
        None if read.certs.is_empty() => empty.to_owned(),
        _ => "the certificates in it are damaged".to_owned(),
    }
}

fn warn(variable: &str, read: &CertificateResult) {
    for error in &read.errors {
        tracing::warn!(variable, %error, "could not read a root certificate; using the others");
    }
}

/// Returns the certificates that rustls accepts, without duplicates: systems have the same ones in a file
/// and a directory.
fn usable(mut certificates: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other));
    certificates.dedup();
    certificates.retain(is_usable);
    certificates
}

fn is_usable(root: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(root.clone()).is_ok()
}

/// Reads the platform's root certificates.
///
/// `load_native_certs` would treat an empty variable as set.
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
    fn bundled_roots_are_used_only_if_the_platform_has_none() {
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
