//! Trust in servers: the root certificates of the platform, of `SSL_CERT_FILE` and `SSL_CERT_DIR`, of
//! the application.
//!
//! Notion's endpoints, PostgreSQL and Redis are trusted by the same rule.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use rustls::{RootCertStore, pki_types::CertificateDer};
use rustls_native_certs::{CertificateResult, ErrorKind, load_certs_from_paths};

const FILE: &str = "SSL_CERT_FILE";
const DIRS: &str = "SSL_CERT_DIR";

/// Root certificates. Each is one that rustls can use, and there is at least one.
#[derive(Clone, Debug)]
pub(crate) struct Roots(Vec<CertificateDer<'static>>);

/// A variable that names root certificates which can't be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{variable}: no root certificate was read from {}: {reason}: {cure}, or unset it", .path.display())]
pub(crate) struct RootsError {
    variable: &'static str,
    path: PathBuf,
    reason: String,
    cure: &'static str,
}

impl Roots {
    /// Reads the root certificates that the process's environment names, or else the platform's.
    ///
    /// It reads files, which may be on a slow disk.
    pub(crate) fn from_env() -> Result<Self, RootsError> {
        Self::from_vars(|name| env::var_os(name))
    }

    /// [`from_env`](Self::from_env) with the variables that `lookup` finds.
    ///
    /// The bundled certificates serve only where neither variable is set and the platform has none. A
    /// variable that is set says whom to trust: there, nothing may be trusted in its place.
    pub(crate) fn from_vars(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, RootsError> {
        let set = |name| lookup(name).filter(|value| !value.is_empty());
        let (file, dirs) = (set(FILE), set(DIRS));
        if file.is_none() && dirs.is_none() {
            return Ok(Self::of_the_platform());
        }
        let mut roots = Vec::new();
        if let Some(file) = file {
            roots.append(&mut read_file(&file)?);
        }
        if let Some(dirs) = dirs {
            roots.append(&mut read_dirs(&dirs)?);
        }
        Ok(Self(roots))
    }

    fn of_the_platform() -> Self {
        let read = platform();
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
    #[cfg(any(feature = "https", feature = "redis"))]
    pub(crate) fn to_store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.0.iter().cloned());
        store
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

fn read_file(file: &OsStr) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let path = Path::new(file);
    let mut read = load_certs_from_paths(Some(path), None);
    let reason = reason(&read, "it has no certificate in PEM");
    let roots = usable(std::mem::take(&mut read.certs));
    if roots.is_empty() {
        return Err(RootsError {
            variable: FILE,
            path: path.to_owned(),
            reason,
            cure: "set it to a file of certificates in PEM",
        });
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
        return Err(RootsError {
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
    certificates.retain(|root| RootCertStore::empty().add(root.clone()).is_ok());
    certificates
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
