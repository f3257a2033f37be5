//! Deterministic tokens and IDs in Notion's format.

/// The object that an ID names. It is part of the ID, so that IDs of different kinds never collide.
#[derive(Clone, Copy)]
pub(super) enum Id {
    Workspace = 1,
    Bot,
    Person,
    Colleague,
    Page,
    Code,
    Request,
}

/// Returns an access token like `ntn_0001…`, with its counter in the eight characters that may be logged.
pub(super) fn access_token(n: u64) -> String {
    token("ntn_", n)
}

/// Returns a refresh token like `nrt_0001…`.
pub(super) fn refresh_token(n: u64) -> String {
    token("nrt_", n)
}

/// Returns a UUID with the counter as its first group.
pub(super) fn id(kind: Id, n: u64) -> String {
    let tail = scramble(n ^ ((kind as u64) << 56)) & 0xffff_ffff_ffff;
    format!("{n:08x}-{:04x}-4000-8000-{tail:012x}", kind as u16)
}

fn token(prefix: &str, n: u64) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let seed = prefix
        .bytes()
        .fold(n, |seed, byte| scramble(seed ^ u64::from(byte)));
    let tail = (0..42_u64).map(|i| {
        let digit = scramble(seed.wrapping_add(i)) % 62;
        char::from(ALPHABET[digit as usize])
    });
    format!("{prefix}{n:04}").chars().chain(tail).collect()
}

/// The finalizer of SplitMix64, so that consecutive tokens look different.
fn scramble(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
