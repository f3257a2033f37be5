//! From the bytes of an answer's body to its text.

use std::{
    fmt,
    io::{ErrorKind, Read},
};

use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header::CONTENT_ENCODING};

use super::{
    redact::redact,
    transport::{BODY_LIMIT, Cut, ReadDeadline},
};

/// The text of a body, as far as it could be read. It may contain tokens.
pub(super) struct Text {
    pub(super) text: String,
    /// What is wrong with the body.
    pub(super) flaw: Option<Flaw>,
}

/// What is wrong with a body. It shows nothing of the content.
#[derive(Debug)]
pub(super) enum Flaw {
    Cut(Cut),
    /// gzip that decodes to more than [`BODY_LIMIT`].
    Bomb,
    /// gzip whose end is missing.
    ShortGzip,
    /// What begins like gzip and is none.
    BadGzip,
    /// The header says gzip, and the body does not begin like it.
    NoGzip,
    /// The header names an encoding that is not read. Its name, as far as it may be shown.
    Encoding(String),
}

impl Flaw {
    /// Whether a part of the text is missing, or may be. Otherwise only the header is odd.
    pub(super) fn is_loss(&self) -> bool {
        !matches!(self, Self::NoGzip | Self::Encoding(_))
    }
}

impl Text {
    /// Decodes a body that is gzip, or not encoded.
    ///
    /// gzip is recognised by its first bytes, with which no JSON begins, and not by the header:
    /// proxies compress a body without saying so, and decompress one and keep the header.
    ///
    /// `secrets` are kept out of what is quoted from the headers.
    pub(super) fn decode(
        headers: &HeaderMap,
        body: &[u8],
        cut: Option<Cut>,
        secrets: &[&str],
    ) -> Self {
        let (text, damage) = if body.starts_with(&[0x1F, 0x8B]) {
            let (decoded, damage) = gunzip(body);
            (text(&decoded), damage)
        } else {
            (text(body), encoding(headers, secrets))
        };
        Self {
            text,
            flaw: cut.map(Flaw::Cut).or(damage),
        }
    }
}

/// As much as can be decoded, up to [`BODY_LIMIT`].
fn gunzip(compressed: &[u8]) -> (Vec<u8>, Option<Flaw>) {
    let mut decoded = Vec::new();
    // What was read before an error stays in the vector.
    let outcome = MultiGzDecoder::new(compressed)
        .take(BODY_LIMIT as u64 + 1)
        .read_to_end(&mut decoded);
    let flaw = match outcome {
        Ok(_) if decoded.len() > BODY_LIMIT => {
            decoded.truncate(BODY_LIMIT);
            Some(Flaw::Bomb)
        }
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Some(Flaw::ShortGzip),
        Err(_) => Some(Flaw::BadGzip),
    };
    (decoded, flaw)
}

/// What is wrong with the encoding that the header names: the request asked for `identity`.
fn encoding(headers: &HeaderMap, secrets: &[&str]) -> Option<Flaw> {
    let encodings: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity")
        .collect();
    match encodings.join(", ").as_str() {
        "" => None,
        "gzip" | "x-gzip" => Some(Flaw::NoGzip),
        names => Some(Flaw::Encoding(shown(names, secrets))),
    }
}

/// A name from a header, made fit for a message: without secrets, of the characters of such names
/// (RFC 9110 section 5.6.2), and short.
pub(super) fn shown(name: &str, secrets: &[&str]) -> String {
    redact(name, secrets)
        .chars()
        .filter(|it| it.is_ascii_alphanumeric() || "!#$&^_.+-/, ".contains(*it))
        .take(40)
        .collect()
}

/// JSON is UTF-8 (RFC 8259 section 8.1). A byte order mark is skipped, UTF-16 is read, and what is
/// neither is replaced, so that one character in another encoding does not cost the tokens.
fn text(bytes: &[u8]) -> String {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // JSON begins with an ASCII character (RFC 4627 section 3).
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes
        .chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok())
        .map(unit);
    char::decode_utf16(units)
        .map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(Cut::Broken(_)) => f.write_str("the connection broke in the body"),
            Self::Cut(Cut::TimedOut(ReadDeadline::AfterRequest(limit))) => {
                write!(f, "the body was not complete {limit:?} after the request")
            }
            Self::Cut(Cut::TimedOut(ReadDeadline::AfterHead(limit))) => {
                write!(
                    f,
                    "the body was not complete {limit:?} after its first byte"
                )
            }
            Self::Cut(Cut::TooLarge) => write!(f, "the body is larger than {LIMIT}"),
            Self::Bomb => write!(f, "the gzip body decodes to more than {LIMIT}"),
            Self::ShortGzip => f.write_str("the end of the gzip body is missing"),
            Self::BadGzip => f.write_str("the gzip body is damaged"),
            Self::NoGzip => f.write_str("the header says gzip, and the body is not gzip"),
            Self::Encoding(name) => write!(
                f,
                "the body is encoded as `{name}`, and only gzip and identity are read"
            ),
        }
    }
}

const LIMIT: &str = "4 MiB";

impl std::error::Error for Flaw {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Cut(Cut::Broken(cause)) => Some(&**cause),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};

    use super::{BODY_LIMIT, Flaw, Text};

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
                assert_eq!(decoded.text, "{\"a\":1}", "{encodings:?}");
                assert!(decoded.flaw.is_none(), "{encodings:?}");
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
            (&["gzip", "gzip"], Some("`gzip, gzip`")),
            (&["x-GZIP"], Some("not gzip")),
            (&["<b>\"x\"</b>"], Some("`bx/b`")),
        ] {
            let decoded = decode(encodings, b"{}");
            assert_eq!(decoded.text, "{}");
            let shown = decoded.flaw.map(|flaw| flaw.to_string());
            assert_eq!(shown.is_some(), named.is_some(), "{encodings:?}");
            let (shown, named) = (shown.unwrap_or_default(), named.unwrap_or_default());
            assert!(shown.contains(named), "{shown}");
        }
        let long: &'static str = "x".repeat(1000).leak();
        assert!(decode(&[long], b"").flaw.unwrap().to_string().len() < 120);
    }

    #[test]
    fn short_gzip_is_decoded_as_far_as_it_goes() {
        // Random text, of which the last byte of the gzip does not say all.
        let mut random = fastrand::Rng::with_seed(7);
        let text: String = (0..20_000).map(|_| random.lowercase()).collect();
        let whole = gzip(text.as_bytes());
        let mut longest = 0;
        for end in 0..whole.len() {
            let decoded = decode(&["gzip"], &whole[..end]);
            assert!(text.starts_with(&decoded.text) || end < 2);
            assert!(
                end < 2 || matches!(decoded.flaw, Some(Flaw::ShortGzip)),
                "{end}"
            );
            longest = longest.max(decoded.text.len());
        }
        assert_eq!(longest, text.len());
    }

    #[test]
    fn damaged_gzip_is_said_to_be_damaged() {
        let mut body = gzip(b"{\"a\":1}");
        let end = body.len() - 1;
        body[end] ^= 1;
        let decoded = decode(&["gzip"], &body);
        assert_eq!(decoded.text, "{\"a\":1}");
        assert!(matches!(decoded.flaw, Some(Flaw::BadGzip)));
        assert!(matches!(
            decode(&[], b"\x1F\x8Bmany bytes of junk").flaw,
            Some(Flaw::BadGzip)
        ));
    }

    #[test]
    fn gzip_bomb_is_decoded_up_to_the_limit() {
        let most = decode(&["gzip"], &gzip(&vec![b' '; BODY_LIMIT]));
        assert_eq!(most.text.len(), BODY_LIMIT);
        assert!(most.flaw.is_none());
        let bomb = gzip(&vec![b' '; 16 * BODY_LIMIT]);
        let used = allocation_counter::measure(|| {
            let decoded = decode(&["gzip"], &bomb);
            assert_eq!(decoded.text.len(), BODY_LIMIT);
            assert!(decoded.flaw.unwrap().to_string().contains("4 MiB"));
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
        ] {
            assert_eq!(decode(&[], body).text, json);
        }
        assert_eq!(
            decode(&[], b"{\"name\":\"\xE9\"}").text,
            "{\"name\":\"\u{FFFD}\"}"
        );
        assert_eq!(decode(&[], b"").text, "");
    }
}
