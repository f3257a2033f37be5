//! JSON that has secrets in it.

use std::io::{self, Write};

use serde::Serialize;
use zeroize::Zeroizing;

/// A prefix and the value, in memory that is wiped and has no byte to spare: growing would leave copies
/// behind, and what is spare is wiped byte by byte as well.
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

/// Counts what is written.
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
