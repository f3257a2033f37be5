//! Unpredictable random bytes.

/// Returns `N` bytes from the operating system's random generator.
#[expect(
    clippy::expect_used,
    reason = "without the system's generator no process is safe to go on"
)]
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random generator answers");
    bytes
}
