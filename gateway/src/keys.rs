//! The gateway's keys: who calls, for which subject, and what the key allows.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use axum::http::{HeaderMap, HeaderName, StatusCode, header::AUTHORIZATION};
use notion_auth::{BoxError, Subject};
use sha2::{Digest as _, Sha256};

use crate::{
    envelope::{self, Refusal},
    key_lines,
    wrong_keys::WrongKeys,
};

/// Names the subject of a request that has a service key. It never goes on to Notion.
pub(crate) const SUBJECT_HEADER: HeaderName = HeaderName::from_static("notion-auth-subject");

/// What a key is known by: its digest stays here, the key itself does not.
pub(crate) type Fingerprint = [u8; 32];

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    /// To call Notion's API.
    pub(crate) call: bool,
    /// To sign in at `/connect`, and to connect and disconnect a workspace.
    pub(crate) connect: bool,
}

impl Rights {
    pub(crate) const CALL: Self = Self {
        call: true,
        connect: false,
    };
    pub(crate) const CONNECT: Self = Self {
        call: false,
        connect: true,
    };

    fn include(self, needed: Self) -> bool {
        (self.call || !needed.call) && (self.connect || !needed.connect)
    }
}

/// Whose credentials a key uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    Subject(Subject),
    /// A service key's: those of the subject that [`SUBJECT_HEADER`] names.
    Service,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewayKey {
    /// Its name in logs.
    pub(crate) id: Arc<str>,
    pub(crate) owner: Owner,
    pub(crate) rights: Rights,
    pub(crate) expires: Option<SystemTime>,
    /// The paths that it may call, with those under them. All if there is none.
    pub(crate) paths: Vec<String>,
}

/// The sender of a request whose key is good.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) key_id: Arc<str>,
    pub(crate) subject: Subject,
}

/// Why a request is not accepted.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It has no key, or what it has is not in the form of one.
    NoKey,
    WrongKey,
    Expired(Arc<str>),
    NoSubject(Arc<str>),
    OtherSubject(Arc<str>),
    NoRight(Arc<str>, Rights),
    Path(Arc<str>),
}

/// The keys by their digests.
type ByFingerprint = HashMap<Fingerprint, Arc<GatewayKey>>;

/// All keys: those of `GATEWAY_KEYS`, and those of the file, which is read again when it changes.
pub(crate) struct GatewayKeys {
    of_variable: Vec<(Fingerprint, GatewayKey)>,
    file: Option<KeysFile>,
    current: RwLock<Arc<ByFingerprint>>,
    wrong: WrongKeys,
}

struct KeysFile {
    path: PathBuf,
    /// What the file looked like when it was read last, with or without success.
    seen: Mutex<Stamp>,
}

/// What shows that a file was changed, without reading it.
type Stamp = Option<(SystemTime, u64)>;

impl GatewayKeys {
    /// Reads the keys of `GATEWAY_KEYS` and `GATEWAY_KEYS_FILE`. Errors name the variable, and show no key.
    pub(crate) fn read(variable: Option<&str>, file: Option<&Path>) -> Result<Self, BoxError> {
        let of_variable = match variable {
            Some(text) => {
                key_lines::parse_variable(text).map_err(|error| format!("GATEWAY_KEYS: {error}"))?
            }
            None => Vec::new(),
        };
        let keys = Self {
            of_variable,
            file: file.map(|path| KeysFile {
                path: path.to_owned(),
                seen: Mutex::new(stamp(path)),
            }),
            current: RwLock::default(),
            wrong: WrongKeys::default(),
        };
        keys.reload()
            .map_err(|error| format!("GATEWAY_KEYS_FILE: {error}"))?;
        if keys.current().is_empty() && keys.file.is_none() {
            return Err("GATEWAY_KEYS: there is no key".into());
        }
        Ok(keys)
    }

    /// How many keys there are.
    pub(crate) fn count(&self) -> usize {
        self.current().len()
    }

    /// Whether a key may connect workspaces.
    pub(crate) fn can_connect(&self) -> bool {
        self.current().values().any(|key| key.rights.connect)
    }

    fn current(&self) -> Arc<ByFingerprint> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn reload(&self) -> Result<(), BoxError> {
        let mut keys = self.of_variable.clone();
        if let Some(KeysFile { path, .. }) = &self.file {
            let shown = path.display();
            let text = fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
            let text = String::from_utf8(text).map_err(|_| format!("{shown} is not UTF-8"))?;
            let lines = key_lines::parse_file(&text);
            keys.extend(lines.map_err(|(line, reason)| format!("{shown}:{line}: {reason}"))?);
        }
        let mut by_fingerprint = HashMap::with_capacity(keys.len());
        for (fingerprint, key) in keys {
            let id = Arc::clone(&key.id);
            if by_fingerprint.insert(fingerprint, Arc::new(key)).is_some() {
                return Err(format!("the key {id} is there twice").into());
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(by_fingerprint);
        Ok(())
    }

    /// Reads the file again if it was changed since it was read. A file with an error changes nothing.
    pub(crate) fn reload_if_changed(&self) {
        let Some(file) = &self.file else { return };
        let now = stamp(&file.path);
        let seen = std::mem::replace(
            &mut *file.seen.lock().unwrap_or_else(PoisonError::into_inner),
            now,
        );
        if seen == now {
            return;
        }
        match self.reload() {
            Ok(()) => tracing::info!(keys = self.count(), "GATEWAY_KEYS_FILE was read again"),
            Err(error) => tracing::error!(
                "GATEWAY_KEYS_FILE: {error}; the keys stay as they were until the file is corrected"
            ),
        }
    }

    /// Returns the caller whose key the request has, if that key has these rights.
    pub(crate) fn check(
        &self,
        headers: &HeaderMap,
        needed: Rights,
        path: &str,
    ) -> Result<Caller, Refused> {
        let key = bearer(headers).ok_or(Refused::NoKey)?;
        let (_, key) = self.find(key).ok_or(Refused::WrongKey)?;
        if key.is_expired() {
            return Err(Refused::Expired(Arc::clone(&key.id)));
        }
        if !key.rights.include(needed) {
            return Err(Refused::NoRight(Arc::clone(&key.id), needed));
        }
        if needed.call && !key.may_call(path) {
            return Err(Refused::Path(Arc::clone(&key.id)));
        }
        Ok(Caller {
            key_id: Arc::clone(&key.id),
            subject: key.subject(headers)?,
        })
    }

    /// Returns the key and what it is known by from then on. It may have expired.
    pub(crate) fn find(&self, key: &str) -> Option<(Fingerprint, Arc<GatewayKey>)> {
        let fingerprint = fingerprint(key);
        Some((fingerprint, self.by_fingerprint(&fingerprint)?))
    }

    /// Returns the key that is known by this. The time that the look-up takes depends on a digest, from which nothing
    /// about a key can be learned.
    pub(crate) fn by_fingerprint(&self, fingerprint: &Fingerprint) -> Option<Arc<GatewayKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.get(fingerprint).cloned()
    }

    /// Answers a request that is refused. A wrong key is counted, and its answer is delayed.
    pub(crate) async fn refuse(&self, refused: Refused) -> Refusal {
        if matches!(refused, Refused::WrongKey) && !self.delay_wrong_key().await {
            return Box::new(envelope::too_many_wrong_keys());
        }
        refused.to_response()
    }

    /// Counts a wrong key and waits. Returns `false` without a wait if too many others wait.
    pub(crate) async fn delay_wrong_key(&self) -> bool {
        self.wrong.delay().await
    }
}

impl GatewayKey {
    pub(crate) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|end| end <= SystemTime::now())
    }

    /// The subject of a request with this key.
    fn subject(&self, headers: &HeaderMap) -> Result<Subject, Refused> {
        let mut named = headers.get_all(SUBJECT_HEADER).iter();
        let first = named
            .next()
            .map(|it| std::str::from_utf8(it.as_bytes()).unwrap_or(""));
        // Two of them may be a caller's own and that of a proxy in front.
        let is_repeated = named.next().is_some();
        match (&self.owner, first) {
            (Owner::Subject(subject), None) => Ok(subject.clone()),
            (Owner::Subject(subject), Some(named)) if named == subject.as_str() && !is_repeated => {
                Ok(subject.clone())
            }
            (Owner::Subject(_), Some(_)) => Err(Refused::OtherSubject(Arc::clone(&self.id))),
            (Owner::Service, Some(named)) if !named.is_empty() && !is_repeated => {
                Ok(Subject::new(named))
            }
            (Owner::Service, _) => Err(Refused::NoSubject(Arc::clone(&self.id))),
        }
    }

    fn may_call(&self, path: &str) -> bool {
        self.paths.is_empty()
            || self.paths.iter().any(|prefix| {
                let rest = path.strip_prefix(prefix.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }
}

impl Refused {
    /// The key of the request, if it is known.
    pub(crate) fn key_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::NoKey | Self::WrongKey => None,
            Self::Expired(id)
            | Self::NoSubject(id)
            | Self::OtherSubject(id)
            | Self::NoRight(id, _)
            | Self::Path(id) => Some(id),
        }
    }

    fn to_response(&self) -> Refusal {
        let (reason, status, message) = match self {
            Self::NoKey | Self::WrongKey => return Box::new(envelope::no_key()),
            Self::Expired(id) => (
                "key_expired",
                StatusCode::UNAUTHORIZED,
                format!("the key {id} has expired"),
            ),
            Self::NoSubject(_) => (
                "subject",
                StatusCode::BAD_REQUEST,
                "a service key needs the header Notion-Auth-Subject, once, with the subject whose \
                 credentials the request is to have"
                    .to_owned(),
            ),
            Self::OtherSubject(id) => (
                "subject",
                StatusCode::FORBIDDEN,
                format!(
                    "the key {id} is of another subject than the header Notion-Auth-Subject names"
                ),
            ),
            Self::NoRight(id, needed) if needed.connect => (
                "key_right",
                StatusCode::FORBIDDEN,
                format!(
                    "the key {id} may call Notion and not connect: that takes a key with the right `connect`"
                ),
            ),
            Self::NoRight(id, _) => (
                "key_right",
                StatusCode::FORBIDDEN,
                format!(
                    "the key {id} may connect and not call Notion: that takes a key with the right `call`"
                ),
            ),
            Self::Path(id) => (
                "key_path",
                StatusCode::FORBIDDEN,
                format!("the key {id} may not call this path"),
            ),
        };
        let code = match status {
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "restricted_resource",
            _ => "validation_error",
        };
        envelope::refusal(reason, status, code, &message)
    }
}

impl fmt::Debug for GatewayKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatewayKeys({} keys)", self.count())
    }
}

pub(crate) fn fingerprint(key: &str) -> Fingerprint {
    Sha256::digest(key).into()
}

/// The key in `Authorization: Bearer KEY`, if that header is there once.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn stamp(path: &Path) -> Stamp {
    let look = || -> io::Result<(SystemTime, u64)> {
        let data = fs::metadata(path)?;
        Ok((data.modified()?, data.len()))
    };
    look().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const KEY: &str = "ann-has-this-key-0123456789";

    fn line(id: &str, key: &str, rest: &str) -> String {
        let digest: String = fingerprint(key)
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        format!("{id} {digest} {rest}\n")
    }

    fn headers(key: &str, subjects: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_str(&format!("Bearer {key}")).expect("a header");
        headers.insert(AUTHORIZATION, bearer);
        for subject in subjects {
            let subject = HeaderValue::from_bytes(subject.as_bytes()).expect("a header");
            headers.append(SUBJECT_HEADER, subject);
        }
        headers
    }

    fn in_file(text: &str) -> (GatewayKeys, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("it is ours");
        let keys = GatewayKeys::read(None, Some(file.path())).expect("good keys");
        (keys, file)
    }

    #[test]
    fn a_key_calls_for_its_own_subject_and_a_service_key_for_the_named_one() {
        let (keys, _file) = in_file(&line("one", KEY, "ann call"));
        let (services, _file) = in_file(&line("all", KEY, "* call"));
        for (keys, subjects, expected) in [
            (&keys, &[][..], Ok("ann")),
            (&keys, &["ann"], Ok("ann")),
            (&keys, &["bob"], Err("OtherSubject(\"one\")")),
            (&keys, &[""], Err("OtherSubject(\"one\")")),
            (&keys, &["ann", "ann"], Err("OtherSubject(\"one\")")),
            (&services, &["bob"], Ok("bob")),
            (&services, &["José"], Ok("José")),
            (&services, &[], Err("NoSubject(\"all\")")),
            (&services, &[""], Err("NoSubject(\"all\")")),
            (&services, &["ann", "bob"], Err("NoSubject(\"all\")")),
        ] {
            let checked = keys.check(&headers(KEY, subjects), Rights::CALL, "/v1/users");
            match (checked, expected) {
                (Ok(caller), Ok(subject)) => assert_eq!(caller.subject.as_str(), subject),
                (Err(refused), Err(expected)) => assert_eq!(format!("{refused:?}"), expected),
                (other, _) => panic!("{subjects:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_key_does_what_its_line_allows_and_nothing_else() {
        for (rest, needed, path, is_allowed) in [
            ("ann call", Rights::CALL, "/v1/users/me", true),
            ("ann call", Rights::CONNECT, "/connect", false),
            ("ann connect", Rights::CONNECT, "/connect", true),
            ("ann connect", Rights::CALL, "/v1/users/me", false),
            ("ann call,connect", Rights::CONNECT, "/connect", true),
            ("ann call,connect", Rights::CALL, "/v1/users/me", true),
            (
                "ann call expires=2020-01-01",
                Rights::CALL,
                "/v1/users/me",
                false,
            ),
            (
                "ann call expires=2999-01-01T00:00:00Z",
                Rights::CALL,
                "/v1/users/me",
                true,
            ),
            (
                "ann call paths=/v1/users,/v1/pages/",
                Rights::CALL,
                "/v1/users/me",
                true,
            ),
            (
                "ann call paths=/v1/users,/v1/pages/",
                Rights::CALL,
                "/v1/users",
                true,
            ),
            (
                "ann call paths=/v1/users,/v1/pages/",
                Rights::CALL,
                "/v1/pages/1",
                true,
            ),
            (
                "ann call paths=/v1/users",
                Rights::CALL,
                "/v1/users_of_others",
                false,
            ),
            (
                "ann call paths=/v1/users",
                Rights::CALL,
                "/v1/pages/1",
                false,
            ),
            (
                "ann call,connect paths=/v1/users",
                Rights::CONNECT,
                "/connect",
                true,
            ),
        ] {
            let (keys, _file) = in_file(&line("one", KEY, rest));
            let checked = keys.check(&headers(KEY, &[]), needed, path);
            assert_eq!(checked.is_ok(), is_allowed, "{rest}: {path}: {checked:?}");
        }
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_keeps_the_keys() {
        let other = "bob-has-this-key-0123456789";
        let (keys, file) = in_file(&line("one", KEY, "ann call"));
        let is_known = |key| keys.find(key).is_some();
        keys.reload_if_changed();
        assert!(is_known(KEY) && !is_known(other));

        fs::write(file.path(), line("two", other, "bob call") + "broken\n").expect("it is ours");
        keys.reload_if_changed();
        assert!(is_known(KEY) && !is_known(other));

        fs::write(file.path(), "").expect("it is ours");
        keys.reload_if_changed();
        assert!(is_known(KEY), "an editor is about to write it");

        fs::remove_file(file.path()).expect("it was there");
        keys.reload_if_changed();
        assert!(is_known(KEY));

        fs::write(file.path(), line("two", other, "bob call")).expect("it is ours");
        keys.reload_if_changed();
        assert!(!is_known(KEY) && is_known(other));
    }
}
