//! Decodes the body of a token endpoint's response to text.

use std::{
    fmt,
    io::{ErrorKind, Read},
};

use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header::CONTENT_ENCODING};
use zeroize::Zeroizing;

use super::{
    members::{Members, is_blank},
    redact::redact_causes,
    transport::{Cut, ReadDeadline, append},
};
use crate::error::BoxError;

/// Decoded text of a response body, as far as it could be read. It may contain tokens.
pub(super) struct Text {
    pub(super) text: Zeroizing<String>,
    /// The defects found in the body.
    flaws: Vec<Flaw>,
}

/// A defect of a response body. It contains nothing of the content.
#[derive(Debug)]
enum Flaw {
    /// The connection broke. The text is the redacted reason.
    Broken(String, BoxError),
    TimedOut(ReadDeadline),
    TooLarge,
    /// The gzip body decodes to more than the size limit.
    Bomb,
    /// The gzip body is truncated.
    ShortGzip,
    /// The body has gzip's magic bytes and is not valid gzip.
    BadGzip,
    /// The body is compressed with gzip more than [`MOST_LAYERS`] times.
    DeepGzip,
    /// `Content-Encoding` says gzip, and the body does not begin with gzip's magic bytes.
    NoGzip,
    /// `Content-Encoding` names encodings that are not supported.
    Encoding(String),
    /// `Content-Encoding` names an unknown encoding. It is not shown, because it can be any text.
    UnknownEncoding,
}

impl Flaw {
    fn of(cut: Cut, secrets: &[&str]) -> Self {
        match cut {
            Cut::Broken(cause) => Self::Broken(redact_causes(&*cause, secrets), cause),
            Cut::TimedOut(deadline) => Self::TimedOut(deadline),
            Cut::TooLarge => Self::TooLarge,
        }
    }

    /// Returns whether a part of the text is or may be missing. Otherwise only the header is wrong.
    fn is_loss(&self) -> bool {
        !matches!(
            self,
            Self::NoGzip | Self::Encoding(_) | Self::UnknownEncoding
        )
    }
}

impl Text {
    /// Decodes a body that is not encoded, or compressed with gzip up to three times.
    ///
    /// gzip is recognised by its magic bytes, with which no JSON begins, and not by the header. Some
    /// proxies compress a body without saying so, or decompress it and keep the header.
    ///
    /// `secrets` are redacted from the reason for which the connection broke.
    pub(super) fn decode(
        headers: &HeaderMap,
        body: &[u8],
        cut: Option<Cut>,
        secrets: &[&str],
    ) -> Self {
        let mut flaws: Vec<Flaw> = cut.map(|cut| Flaw::of(cut, secrets)).into_iter().collect();
        let (decoded, damage) = gunzip(body);
        let text = text(decoded.as_deref().map_or(body, Vec::as_slice));
        flaws.extend(damage);
        let encoding = encoding(headers);
        if decoded.is_none() {
            flaws.extend(encoding);
        } else if Members::read(&text).is_none() {
            flaws.extend(encoding.filter(|flaw| !matches!(flaw, Flaw::NoGzip)));
        }
        Self { text, flaws }
    }

    pub(super) fn is_flawed(&self) -> bool {
        !self.flaws.is_empty()
    }

    /// Returns whether no part of the text is missing.
    pub(super) fn is_complete(&self) -> bool {
        !self.flaws.iter().any(Flaw::is_loss)
    }

    /// Describes the defects, for a message.
    pub(super) fn flaws(&self) -> String {
        let flaws: Vec<String> = self.flaws.iter().map(ToString::to_string).collect();
        flaws.join("; ")
    }

    /// Returns the error that broke the connection, if any.
    pub(super) fn into_cause(self) -> Option<BoxError> {
        self.flaws.into_iter().find_map(|flaw| match flaw {
            Flaw::Broken(_, cause) => Some(cause),
            _ => None,
        })
    }
}

/// A proxy may compress a body that another proxy has compressed already.
const MOST_LAYERS: usize = 3;

/// Decodes all layers of gzip, as far as possible, and returns the first defect. Returns `None` for a body
/// that is not gzip.
fn gunzip(body: &[u8]) -> (Option<Zeroizing<Vec<u8>>>, Option<Flaw>) {
    let mut decoded: Option<Zeroizing<Vec<u8>>> = None;
    let mut flaw = None;
    for _ in 0..MOST_LAYERS {
        let compressed = without_blanks(decoded.as_deref().map_or(body, Vec::as_slice));
        if !compressed.starts_with(GZIP) {
            return (decoded, flaw);
        }
        let (inner, damage) = gunzip_once(compressed);
        decoded = Some(inner);
        flaw = flaw.or(damage);
    }
    let is_gzip = decoded
        .as_ref()
        .is_some_and(|decoded| without_blanks(decoded).starts_with(GZIP));
    (decoded, flaw.or(is_gzip.then_some(Flaw::DeepGzip)))
}

const GZIP: &[u8] = &[0x1F, 0x8B];

/// Decodes as much as possible, up to the limit of [`append`].
fn gunzip_once(compressed: &[u8]) -> (Zeroizing<Vec<u8>>, Option<Flaw>) {
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut decoded = Zeroizing::new(Vec::new());
    let mut chunk = Zeroizing::new([0; 4096]);
    let flaw = loop {
        match decoder.read(&mut *chunk) {
            Ok(0) => break None,
            Ok(read) => {
                if !append(&mut decoded, chunk.get(..read).unwrap_or_default()) {
                    break Some(Flaw::Bomb);
                }
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break Some(Flaw::ShortGzip),
            Err(_) => break Some(Flaw::BadGzip),
        }
    };
    (decoded, flaw)
}

/// Checks `Content-Encoding`. The request asked for `identity`.
fn encoding(headers: &HeaderMap) -> Option<Flaw> {
    const KNOWN: [&str; 7] = [
        "gzip",
        "x-gzip",
        "br",
        "zstd",
        "deflate",
        "compress",
        "x-compress",
    ];
    let names: Vec<Option<&str>> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"))
        .map(|name| {
            let is_it = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
            KNOWN.into_iter().find(is_it)
        })
        .collect();
    if names.is_empty() {
        return None;
    }
    let Some(names) = names.into_iter().collect::<Option<Vec<&str>>>() else {
        return Some(Flaw::UnknownEncoding);
    };
    if names.iter().all(|name| name.ends_with("gzip")) {
        return Some(Flaw::NoGzip);
    }
    // The header can list any number of encodings.
    let shown = names.get(..5).unwrap_or(&names);
    Some(Flaw::Encoding(shown.join(", ")))
}

/// Decodes a body as UTF-8 (RFC 8259 section 8.1) or UTF-16.
///
/// Leading blanks and byte order marks are skipped. Invalid characters are replaced, because one character
/// in another encoding must not cost the tokens.
fn text(mut bytes: &[u8]) -> Zeroizing<String> {
    loop {
        match bytes {
            [0xFF, 0xFE, rest @ ..] => return utf16(rest, u16::from_le_bytes),
            [0xFE, 0xFF, rest @ ..] => return utf16(rest, u16::from_be_bytes),
            // JSON begins with two ASCII characters (RFC 4627 section 3).
            [1..=255, 0, 1..=255, 0, ..] | [1..=255, 0] => return utf16(bytes, u16::from_le_bytes),
            [0, 1..=255, 0, 1..=255, ..] | [0, 1..=255] => return utf16(bytes, u16::from_be_bytes),
            _ => {}
        }
        match after_blank(bytes) {
            Some(rest) => bytes = rest,
            None => return utf8(bytes),
        }
    }
}

fn without_blanks(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = after_blank(bytes) {
        bytes = rest;
    }
    bytes
}

/// Strips one leading blank or byte order mark in UTF-8.
fn after_blank(bytes: &[u8]) -> Option<&[u8]> {
    (1..=3).find_map(|length| {
        let (first, rest) = bytes.split_at_checked(length)?;
        let character = std::str::from_utf8(first).ok()?.chars().next()?;
        is_blank(character).then_some(rest)
    })
}

/// Does the same as `String::from_utf8_lossy` without growing the buffer, which would leave copies behind.
fn utf8(bytes: &[u8]) -> Zeroizing<String> {
    const REPLACEMENT: &str = "\u{FFFD}";
    let parts = || {
        bytes.utf8_chunks().flat_map(|chunk| {
            let is_valid = chunk.invalid().is_empty();
            [chunk.valid(), if is_valid { "" } else { REPLACEMENT }]
        })
    };
    let length = parts().map(str::len).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    text.extend(parts());
    text
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Zeroizing<String> {
    let units = bytes
        .chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok())
        .map(unit);
    // A code unit is at most three bytes of UTF-8.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() / 2 * 3));
    text.extend(char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)));
    text
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(reason, _) => write!(f, "the connection broke in the body ({reason})"),
            Self::TimedOut(ReadDeadline::AfterRequest(limit)) => {
                write!(f, "the body was not complete {limit:?} after the request")
            }
            Self::TimedOut(ReadDeadline::AfterHead(limit)) => write!(
                f,
                "the body was not complete {limit:?} after its first byte"
            ),
            Self::TooLarge => write!(f, "the body is larger than {LIMIT}"),
            Self::Bomb => write!(f, "the gzip body decodes to more than {LIMIT}"),
            Self::ShortGzip => f.write_str("the end of the gzip body is missing"),
            Self::BadGzip => f.write_str("the gzip body is damaged"),
            Self::DeepGzip => write!(
                f,
                "the body is compressed with gzip more than {MOST_LAYERS} times"
            ),
            Self::NoGzip => f.write_str("the header says gzip, and the body is not gzip"),
            Self::Encoding(names) => write!(
                f,
                "the body is encoded as `{names}`, and only gzip and identity are read"
            ),
            Self::UnknownEncoding => {
                f.write_str("the body has an unknown encoding, and only gzip and identity are read")
            }
        }
    }
}

const LIMIT: &str = "4 MiB";

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};

    use super::{super::transport::BODY_LIMIT, Cut, Flaw, Text};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(encodings: &[&'static str], body: &[u8]) -> Text {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        Text::decode(&headers, body, None, &[])
    }

    #[test]
    fn gzip_is_decoded_whatever_the_header_says() {
        let members = [gzip(b"{\"a\":"), gzip(b"1}")].concat();
        for encodings in [
            &[][..],
            &["gzip"],
            &["X-GZIP"],
            &["gzip", "identity"],
            &["br"],
        ] {
            for body in [&members, &gzip(b"{\"a\":1}")] {
                let decoded = decode(encodings, body);
                assert_eq!(decoded.text.as_str(), "{\"a\":1}", "{encodings:?}");
                assert!(!decoded.is_flawed(), "{encodings:?}");
            }
        }
    }

    #[test]
    fn encoding_that_is_not_read_is_named() {
        for (encodings, named) in [
            (&[][..], None),
            (&["identity"], None),
            (&["Identity, "], None),
            (&["br"], Some("`br`")),
            (&["ZSTD"], Some("`zstd`")),
            (&["deflate", "br"], Some("`deflate, br`")),
            (&["gzip, br"], Some("`gzip, br`")),
            (&["gzip", "gzip"], Some("not gzip")),
            (&["x-GZIP"], Some("not gzip")),
            (&["br, Ntn_0"], Some("has an unknown encoding")),
            (&["<b>\"x\"</b>"], Some("has an unknown encoding")),
        ] {
            let decoded = decode(encodings, b"{}");
            assert_eq!(decoded.text.as_str(), "{}");
            assert_eq!(decoded.is_flawed(), named.is_some(), "{encodings:?}");
            let shown = decoded.flaws();
            assert!(shown.contains(named.unwrap_or_default()), "{shown}");
        }
        let long: &'static str = "br,".repeat(1000).leak();
        assert!(decode(&[long], b"").flaws().len() < 120);
    }

    #[test]
    fn layers_of_gzip_are_decoded() {
        let mut body = b"{\"a\":1}".to_vec();
        for layers in 1..=4 {
            body = [b"\xEF\xBB\xBF \x0C", &*gzip(&body)].concat();
            let decoded = decode(&["gzip, gzip"], &body);
            assert_eq!(
                decoded.text.as_str() == "{\"a\":1}",
                layers <= 3,
                "{layers}"
            );
            assert_eq!(decoded.flaws().contains("more than 3 times"), layers > 3);
        }
        let bomb = gzip(&gzip(&vec![b'0'; 16 * BODY_LIMIT]));
        let decoded = decode(&[], &bomb);
        assert_eq!(decoded.text.len(), BODY_LIMIT);
        assert!(decoded.flaws().contains("4 MiB"));
    }

    #[test]
    fn encoding_in_gzip_is_named_if_no_object_comes_out() {
        let brotli = gzip(b"\x8B\x03\x80\x7B");
        for encodings in [&["br, gzip"][..], &["br", "gzip"]] {
            let flaws = decode(encodings, &brotli).flaws();
            assert!(flaws.contains("`br, gzip`"), "{flaws}");
        }
        assert!(!decode(&["gzip"], &brotli).is_flawed());
    }

    #[test]
    fn cut_and_encoding_are_both_named() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
        let cut = Cut::Broken("reset of s3cret".into());
        let decoded = Text::decode(&headers, b"\x8B", Some(cut), &["s3cret"]);
        let flaws = decoded.flaws();
        assert!(
            flaws.contains("in the body (reset of [REDACTED]); "),
            "{flaws}"
        );
        assert!(flaws.contains("`br`"), "{flaws}");
        assert!(!decoded.is_complete());
    }

    #[test]
    fn short_gzip_is_decoded_as_far_as_it_goes() {
        // Random text, so that the last byte of the gzip does not complete the text by itself.
        let mut random = fastrand::Rng::with_seed(7);
        let text: String = (0..20_000).map(|_| random.lowercase()).collect();
        let whole = gzip(text.as_bytes());
        let mut longest = 0;
        for end in 0..whole.len() {
            let decoded = decode(&["gzip"], &whole[..end]);
            assert!(text.starts_with(decoded.text.as_str()) || end < 2);
            assert!(
                end < 2 || matches!(decoded.flaws[..], [Flaw::ShortGzip]),
                "{end}"
            );
            longest = longest.max(decoded.text.len());
        }
        assert_eq!(longest, text.len());
    }

    #[test]
    fn damaged_gzip_is_reported_as_damaged() {
        let mut body = gzip(b"{\"a\":1}");
        let end = body.len() - 1;
        body[end] ^= 1;
        let decoded = decode(&["gzip"], &body);
        assert_eq!(decoded.text.as_str(), "{\"a\":1}");
        assert!(matches!(decoded.flaws[..], [Flaw::BadGzip]));
        assert!(matches!(
            decode(&[], b"\x1F\x8Bmany bytes of junk").flaws[..],
            [Flaw::BadGzip]
        ));
    }

    #[test]
    fn gzip_bomb_is_decoded_up_to_the_limit() {
        let most = decode(&["gzip"], &gzip(&vec![b'0'; BODY_LIMIT]));
        assert_eq!(most.text.len(), BODY_LIMIT);
        assert!(!most.is_flawed());
        let bomb = gzip(&vec![b'0'; 16 * BODY_LIMIT]);
        let used = allocation_counter::measure(|| {
            let decoded = decode(&["gzip"], &bomb);
            assert_eq!(decoded.text.len(), BODY_LIMIT);
            assert!(decoded.flaws().contains("4 MiB"));
        });
        assert!(used.bytes_max < 4 * BODY_LIMIT as u64, "{used:?}");
    }

    #[test]
    fn any_unicode_encoding_is_read() {
        let json = "{\"name\":\"é😀\"}";
        let utf16 = |bytes: fn(u16) -> [u8; 2]| json.encode_utf16().flat_map(bytes).collect();
        let (little, big): (Vec<u8>, Vec<u8>) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
        for body in [
            json.as_bytes(),
            &[b"\xEF\xBB\xBF", json.as_bytes()].concat(),
            &little,
            &big,
            &[b"\xFF\xFE", &*little].concat(),
            &[b"\xFE\xFF", &*big].concat(),
            &[&*little, b"x"].concat(),
            &[b"\xEF\xBB\xBF \xC2\xA0\x0C\xEF\xBB\xBF", json.as_bytes()].concat(),
            &[b"\n\xFF\xFE", &*little].concat(),
        ] {
            assert_eq!(decode(&[], body).text.as_str(), json);
        }
        assert_eq!(
            decode(&[], b"{\"name\":\"\xE9\"}").text.as_str(),
            "{\"name\":\"\u{FFFD}\"}"
        );
        assert_eq!(decode(&[], b"").text.as_str(), "");
        assert_eq!(decode(&[], b"\0{\"a\":1}").text.as_str(), "\0{\"a\":1}");
    }
}
