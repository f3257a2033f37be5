//! The application's encryption keys.

use std::{env, ffi::OsString, fmt, sync::Arc};

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::random::random_bytes;

/// The application's keys: 32 random bytes each, from which all other keys are derived.
///
/// The first key encrypts new data. All keys decrypt existing data. To change the key without an
/// interruption, deploy each of these steps on every replica before the next one:
///
/// 1. Append the new key.
/// 2. Move the new key to the front.
/// 3. Remove the old key when nothing that it encrypted is needed any more. For connection flows this is 10
///    minutes after step 2. For stored credentials it is when `NotionAuthProvider::rotate` has processed all
///    records after step 2 and left none pending.
///
/// All replicas of an application use the same keys. Data encrypted with a lost key cannot be recovered, so
/// keep a copy of the keys separate from the store's backups. `Debug` prints no key.
///
/// ```
/// use notion_auth::Keyring;
///
/// # fn main() -> Result<(), notion_auth::KeyringError> {
/// // As `NOTION_AUTH_KEYS` has it; `openssl rand -base64 32` makes one.
/// let keys = Keyring::parse("4pxDkLTrV9jfUUHyQDZJ5cLZDXwIbDnkk0rMnvOzvX8=")?;
/// assert_eq!(format!("{keys:?}"), "Keyring(1 key)");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Keyring {
    /// Never empty.
    keys: Arc<[Zeroizing<[u8; 32]>]>,
}

/// The reason why a [`Keyring`] could not be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyringError(&'static str);

const VARIABLE: &str = "NOTION_AUTH_KEYS";

/// Both base64 alphabets, with and without padding, because the tools that generate keys differ.
const ENCODINGS: [GeneralPurpose; 2] = {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [
        GeneralPurpose::new(&STANDARD, lenient),
        GeneralPurpose::new(&URL_SAFE, lenient),
    ]
};

impl Keyring {
    /// Creates a keyring from keys of 32 random bytes each. The first key encrypts.
    ///
    /// # Errors
    /// If there is no key.
    pub fn new(keys: impl IntoIterator<Item = [u8; 32]>) -> Result<Self, KeyringError> {
        let keys: Arc<[_]> = keys.into_iter().map(Zeroizing::new).collect();
        if keys.is_empty() {
            return Err(KeyringError("the keyring has no key"));
        }
        Ok(Self { keys })
    }

    /// Reads `NOTION_AUTH_KEYS`, in the format of [`parse`](Self::parse).
    ///
    /// # Errors
    /// If the variable is not set or cannot be parsed. The error names the variable.
    pub fn from_env() -> Result<Self, KeyringError> {
        Self::from_variable(env::var_os(VARIABLE))
    }

    fn from_variable(value: Option<OsString>) -> Result<Self, KeyringError> {
        const NOT_SET: &str = "NOTION_AUTH_KEYS is not set: 32 random bytes in base64, such as `openssl rand -base64 32` \
            prints, or several of them separated by commas";
        const NO_KEYS: &str = "NOTION_AUTH_KEYS: each key must be 32 bytes in base64 (44 characters, without quotes): \
            make one by `openssl rand -base64 32`";

        let text = value.unwrap_or_default().into_string();
        let text = Zeroizing::new(text.map_err(|_| KeyringError(NO_KEYS))?);
        match text.trim() {
            "" => Err(KeyringError(NOT_SET)),
            keys => Self::parse(keys).map_err(|_| KeyringError(NO_KEYS)),
        }
    }

    /// Parses base64 keys (either alphabet), separated by commas or white space.
    ///
    /// # Errors
    /// If there is no key, or one is not 32 bytes in base64. The message contains no key.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let words = text
            .split(|it: char| it == ',' || it.is_whitespace())
            .filter(|word| !word.is_empty());
        let keys: Result<Vec<_>, _> = words.map(decode).collect();
        Self::new(keys?)
    }

    /// Creates a keyring with one random key, which is lost when this process exits. Do not use it for
    /// records that must outlive the process.
    #[must_use]
    pub fn random() -> Self {
        Self {
            keys: Arc::new([Zeroizing::new(random_bytes())]),
        }
    }

    /// Derives a key from each key of this keyring, in order, by HKDF-SHA256 (RFC 5869). Different labels
    /// yield independent keys.
    pub(crate) fn derive<const N: usize>(
        &self,
        label: &'static str,
    ) -> impl Iterator<Item = Zeroizing<[u8; N]>> {
        self.keys.iter().map(move |key| derived(key, label))
    }
}

/// The key of the digests that stand for names in logs and `Debug` output.
#[cfg(feature = "encryption")]
pub(crate) struct DigestKey(Zeroizing<[u8; 32]>);

#[cfg(feature = "encryption")]
impl Keyring {
    pub(crate) fn digest_key(&self) -> DigestKey {
        DigestKey(derived(&self.keys[0], "notion-auth digest of a subject"))
    }
}

#[cfg(feature = "encryption")]
impl DigestKey {
    pub(crate) fn digest(&self, text: &str) -> u64 {
        u64::from_be_bytes(*derived(&self.0, text))
    }
}

#[expect(
    clippy::expect_used,
    reason = "the length is checked when this is compiled"
)]
fn derived<const N: usize>(key: &[u8; 32], label: &str) -> Zeroizing<[u8; N]> {
    const {
        assert!(
            N <= 255 * 32,
            "HKDF-SHA256 yields at most 255 times 32 bytes"
        )
    };
    let mut derived = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(None, key)
        .expand(label.as_bytes(), &mut *derived)
        .expect("at most 255 times 32 bytes are requested");
    derived
}

fn decode(word: &str) -> Result<[u8; 32], KeyringError> {
    let decoded = ENCODINGS.iter().find_map(|it| it.decode(word).ok());
    decoded
        .map(Zeroizing::new)
        .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok())
        .ok_or(KeyringError(
            "each key must be 32 bytes in base64 (44 characters): make one by `openssl rand -base64 32`",
        ))
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.keys.len() {
            1 => f.write_str("Keyring(1 key)"),
            several => write!(f, "Keyring({several} keys)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Keyring;

    const ONE: &str = "4pxDkLTrV9jfUUHyQDZJ5cLZDXwIbDnkk0rMnvOzvX8=";

    #[test]
    fn keys_are_read_in_either_alphabet_with_or_without_padding() {
        let dashed = "----____----____----____----____----____--8";
        let ring = Keyring::parse(&format!(" {ONE},\n{dashed} , ")).expect("two keys");
        assert_eq!(ring.keys.len(), 2);
        let unpadded = Keyring::parse(ONE.trim_end_matches('=')).expect("a key");
        assert_eq!(unpadded.keys[0], ring.keys[0]);
    }

    #[test]
    fn derived_keys_differ_by_label_and_by_key() {
        let ring = Keyring::new([[1; 32], [2; 32]]).expect("two keys");
        let derived = ring.derive("a").chain(ring.derive("b")).map(|key| *key);
        let derived: HashSet<[u8; 32]> = derived.chain([[1; 32], [2; 32]]).collect();
        assert_eq!(derived.len(), 6);
    }

    #[test]
    fn variable_is_named_whatever_is_wrong_with_it() {
        #[cfg(unix)]
        let not_text = std::os::unix::ffi::OsStringExt::from_vec(vec![b'A', 0xff]);
        #[cfg(not(unix))]
        let not_text = std::ffi::OsString::from("?");
        let quoted = format!("\"{ONE}\"").into();
        for (value, is_set) in [
            (None, false),
            (Some("".into()), false),
            (Some(" \r\n".into()), false),
            (Some(",".into()), true),
            (Some("short".into()), true),
            (Some(quoted), true),
            (Some(not_text), true),
        ] {
            let error = Keyring::from_variable(value.clone()).expect_err("no key");
            let text = error.to_string();
            assert!(text.contains("NOTION_AUTH_KEYS"), "{value:?}: {text}");
            assert_eq!(!text.contains("is not set"), is_set, "{value:?}: {text}");
        }
        let keys = Keyring::from_variable(Some(format!("{ONE}\r\n").into()));
        assert_eq!(keys.expect("a key").keys.len(), 1);
    }

    #[test]
    fn malformed_key_is_refused_and_not_shown() {
        let longer = format!("{}AAAA", ONE.trim_end_matches('='));
        for text in [
            "",
            " , ",
            "short",
            &ONE[4..],
            &longer,
            "é",
            &ONE.replace('p', "!"),
        ] {
            let error = Keyring::parse(text).expect_err(text).to_string();
            assert!(error.contains("key"), "{error}");
            assert!(
                text.trim().len() < 3 || !error.contains(text.trim()),
                "{error}"
            );
        }
    }
}
