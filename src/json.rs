//! JSON that contains secrets.

use std::io::{self, Write};

use serde::Serialize;
use zeroize::Zeroizing;

/// Serializes `value` after `prefix` into zeroizing memory of the exact size.
///
/// Growing the buffer would leave copies of the secrets behind, and spare capacity would be wiped as well.
pub(crate) fn to_exact_vec(
    prefix: &[u8],
    value: &impl Serialize,
) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let mut length = Length(prefix.len());
    serde_json::to_writer(&mut length, value)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    bytes.extend_from_slice(prefix);
    serde_json::to_writer(&mut *bytes, value)?;
    Ok(bytes)
}

/// Counts the bytes written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
