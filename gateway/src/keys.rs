//! The gateway's keys, which stand for subjects.

use std::{collections::HashSet, fmt};

use notion_auth::{BoxError, Subject};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Shorter ones can be guessed.
const SHORTEST: usize = 16;

/// What a key is known by: its digest stays here, the key itself does not.
pub(crate) type Fingerprint = [u8; 32];

/// Whose key is which.
pub(crate) struct GatewayKeys {
    keys: Vec<(Fingerprint, Subject)>,
}

impl GatewayKeys {
    /// Reads `KEY=SUBJECT,…`. The errors show no key.
    pub(crate) fn parse(text: &str) -> Result<Self, BoxError> {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        let entries = text.split(',').map(str::trim).enumerate();
        for (at, entry) in entries.filter(|(_, entry)| !entry.is_empty()) {
            let at = at + 1;
            // A key in base64 may end with the sign itself.
            let Some((key, subject)) = entry.rsplit_once('=') else {
                return Err(format!("entry {at} is not KEY=SUBJECT").into());
            };
            let subject = subject.trim();
            if subject.is_empty() {
                return Err(format!("entry {at} has no subject after its last `=`").into());
            }
            if key.len() < SHORTEST {
                return Err(format!(
                    "the key of entry {at} has fewer than {SHORTEST} characters: \
                     make one by `openssl rand -hex 32`"
                )
                .into());
            }
            if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!(
                    "the key of entry {at} has characters that no header can carry"
                )
                .into());
            }
            let fingerprint = fingerprint(key);
            if !seen.insert(fingerprint) {
                return Err(format!("the key of entry {at} is there twice").into());
            }
            keys.push((fingerprint, Subject::new(subject)));
        }
        if keys.is_empty() {
            return Err("there is no key".into());
        }
        Ok(Self { keys })
    }

    /// Whose key it is, and what it is known by from then on.
    pub(crate) fn find(&self, key: &str) -> Option<(Fingerprint, Subject)> {
        let fingerprint = fingerprint(key);
        let subject = self.subject(&fingerprint)?;
        Some((fingerprint, subject))
    }

    /// Whose key it is. All are compared, each in constant time.
    pub(crate) fn subject(&self, fingerprint: &Fingerprint) -> Option<Subject> {
        let mut found = None;
        for (known, subject) in &self.keys {
            if bool::from(known.ct_eq(fingerprint)) {
                found = Some(subject);
            }
        }
        found.cloned()
    }
}

impl fmt::Debug for GatewayKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatewayKeys({} keys)", self.keys.len())
    }
}

fn fingerprint(key: &str) -> Fingerprint {
    Sha256::digest(key).into()
}
