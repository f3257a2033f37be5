//! The texts that hold keys: `GATEWAY_KEYS`, and the lines of `GATEWAY_KEYS_FILE`. Errors show no key.

use std::{collections::HashSet, fmt::Write as _, sync::Arc, time::SystemTime};

use notion_auth::Subject;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::keys::{Fingerprint, GatewayKey, Owner, Rights, fingerprint};

/// Shorter keys can be guessed.
const SHORTEST: usize = 16;

/// The longest id, in bytes.
const LONGEST_ID: usize = 64;

/// What is percent-encoded in the subject of a line, which blanks separate from the other fields.
const IN_A_LINE: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'#');

/// Reads `KEY=SUBJECT,KEY=SUBJECT:connect,…`.
pub(crate) fn parse_variable(text: &str) -> Result<Vec<(Fingerprint, GatewayKey)>, String> {
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    let entries = text.split([',', '\n', '\r']).map(str::trim).enumerate();
    for (at, entry) in entries.filter(|(_, entry)| !entry.is_empty()) {
        let at = at + 1;
        // A key in base64 may end with the sign itself.
        let Some((key, owner)) = entry.rsplit_once('=') else {
            return Err(format!(
                "entry {at} is not KEY=SUBJECT or KEY=SUBJECT:connect"
            ));
        };
        let key = key.trim();
        let (owner, rights) =
            owner_and_rights(owner.trim()).map_err(|reason| format!("entry {at} {reason}"))?;
        if key.len() < SHORTEST {
            return Err(format!(
                "the key of entry {at} has fewer than {SHORTEST} characters: make one by `openssl rand -hex 32`"
            ));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "the key of entry {at} has characters that no header can carry"
            ));
        }
        // Padding is at the end of a key only.
        if key.trim_end_matches('=').contains('=') {
            return Err(format!(
                "entry {at} has several `=`: a subject with `=` or `,` in it needs a line of GATEWAY_KEYS_FILE, by \
                 `notion-auth-gateway key new`"
            ));
        }
        let fingerprint = fingerprint(key);
        if !seen.insert(fingerprint) {
            return Err(format!("the key of entry {at} is there twice"));
        }
        let key = GatewayKey {
            id: format!("GATEWAY_KEYS:{at}").into(),
            owner,
            rights,
            expires: None,
            paths: Vec::new(),
        };
        keys.push((fingerprint, key));
    }
    if keys.is_empty() {
        return Err("there is no key".to_owned());
    }
    Ok(keys)
}

fn owner_and_rights(text: &str) -> Result<(Owner, Rights), &'static str> {
    let (owner, rights) = match text.rsplit_once(':') {
        Some((owner, "connect")) => (owner, Rights::CONNECT),
        // A misspelt right would become a part of the subject.
        Some((owner, right)) if owner == "*" || is_like_a_right(right) => {
            return Err(
                "ends with an unknown right: write `:connect`, or nothing for a key that calls",
            );
        }
        _ => (text, Rights::CALL),
    };
    match owner {
        "" => Err("has no subject after its last `=`"),
        "*" => Ok((Owner::Service, rights)),
        subject => Ok((Owner::Subject(Subject::new(subject)), rights)),
    }
}

fn is_like_a_right(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text == "call" || strsim::damerau_levenshtein(&text, "connect") <= 2
}

/// Reads the lines of a file. An error has the number of its line.
pub(crate) fn parse_file(text: &str) -> Result<Vec<(Fingerprint, GatewayKey)>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // An editor may be about to write it.
    if text.trim().is_empty() {
        return Err((
            1,
            "the file is empty: if there is to be no key, write `# no key`".to_owned(),
        ));
    }
    let (mut keys, mut fingerprints, mut ids) = (Vec::new(), HashSet::new(), HashSet::new());
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (fingerprint, key) = parse_line(text).map_err(|reason| (line, reason))?;
        if !ids.insert(Arc::clone(&key.id)) {
            return Err((line, format!("the id {} is there twice", key.id)));
        }
        if !fingerprints.insert(fingerprint) {
            return Err((line, format!("the key of {} is there twice", key.id)));
        }
        keys.push((fingerprint, key));
    }
    Ok(keys)
}

/// The fields of a line.
pub(crate) const FORM: &str =
    "ID SHA-256 SUBJECT RIGHTS [expires=…] [paths=…], as `notion-auth-gateway key new` prints it";

fn parse_line(text: &str) -> Result<(Fingerprint, GatewayKey), String> {
    let mut fields = text.split_whitespace();
    let (Some(id), Some(digest), Some(owner), Some(rights)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(format!("a line is {FORM}"));
    };
    check_id(id)?;
    let fingerprint = parse_digest(digest)
        .ok_or("the second field is not a SHA-256 digest in hexadecimal, 64 characters")?;
    let owner = match owner {
        "*" => Owner::Service,
        owner => {
            let subject = percent_decode_str(owner).decode_utf8();
            let subject = subject.map_err(|_| "the subject is not UTF-8 when percent-decoded")?;
            Owner::Subject(Subject::new(&*subject))
        }
    };
    let mut key = GatewayKey {
        id: id.into(),
        owner,
        rights: parse_rights(rights)?,
        expires: None,
        paths: Vec::new(),
    };
    for field in fields {
        match field.split_once('=') {
            Some(("expires", time)) if key.expires.is_none() => {
                key.expires = Some(parse_time(time)?);
            }
            Some(("paths", paths)) if key.paths.is_empty() => key.paths = parse_paths(paths)?,
            Some(("expires" | "paths", _)) => return Err("a field is there twice".to_owned()),
            _ => return Err("after the rights come `expires=…` and `paths=…` only".to_owned()),
        }
    }
    Ok((fingerprint, key))
}

pub(crate) fn check_id(id: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match id.len() <= LONGEST_ID && !id.is_empty() && id.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(format!(
            "the first field is not an id of up to {LONGEST_ID} letters, digits, `-`, `_` and `.`"
        )),
    }
}

fn parse_digest(text: &str) -> Option<Fingerprint> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

fn parse_rights(text: &str) -> Result<Rights, String> {
    let mut rights = Rights {
        call: false,
        connect: false,
    };
    for right in text.split(',') {
        match right {
            "call" => rights.call = true,
            "connect" => rights.connect = true,
            _ => {
                return Err(
                    "the fourth field is not `call`, `connect` or `call,connect`".to_owned(),
                );
            }
        }
    }
    Ok(rights)
}

/// Reads `2027-01-31T12:00:00Z`, or `2027-01-31` for the beginning of that day in UTC.
pub(crate) fn parse_time(text: &str) -> Result<SystemTime, String> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    OffsetDateTime::parse(&whole, &Rfc3339)
        .map(SystemTime::from)
        .map_err(|_| {
            "`expires` is not a date such as 2027-01-31 or 2027-01-31T12:00:00Z".to_owned()
        })
}

/// Reads `/v1/pages,/v1/users`.
pub(crate) fn parse_paths(text: &str) -> Result<Vec<String>, String> {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-_./".contains(&it);
    text.split(',')
        .map(|path| {
            let is_path = path.starts_with("/v1/") && !path.contains("//");
            match is_path && path.bytes().all(is_plain) {
                true => Ok(path.trim_end_matches('/').to_owned()),
                false => Err(
                    "`paths` are not paths such as /v1/pages,/v1/users, which include those under them"
                        .to_owned(),
                ),
            }
        })
        .collect()
}

/// The line of a key, for the file.
pub(crate) fn line(fingerprint: &Fingerprint, key: &GatewayKey, expires: Option<&str>) -> String {
    let mut line = format!("{} ", key.id);
    for byte in fingerprint {
        let _ = write!(line, "{byte:02x}");
    }
    let subject = match &key.owner {
        Owner::Service => "*".to_owned(),
        Owner::Subject(subject) if subject.as_str() == "*" => "%2A".to_owned(),
        Owner::Subject(subject) => utf8_percent_encode(subject.as_str(), IN_A_LINE).to_string(),
    };
    let rights = match key.rights {
        Rights {
            call: true,
            connect: true,
        } => "call,connect",
        Rights { connect: true, .. } => "connect",
        Rights { .. } => "call",
    };
    let _ = write!(line, " {subject} {rights}");
    if let Some(expires) = expires {
        let _ = write!(line, " expires={expires}");
    }
    if !key.paths.is_empty() {
        let _ = write!(line, " paths={}", key.paths.join(","));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn entries_of_the_variable_call_or_connect() {
        let key = "0123456789abcdef";
        let subject = |name: &str| Owner::Subject(Subject::new(name));
        for (text, owner, rights) in [
            ("ann", subject("ann"), Rights::CALL),
            ("ann:connect", subject("ann"), Rights::CONNECT),
            ("tenant:7", subject("tenant:7"), Rights::CALL),
            ("tenant:7:connect", subject("tenant:7"), Rights::CONNECT),
            ("*", Owner::Service, Rights::CALL),
        ] {
            let keys = parse_variable(&format!("{key}={text}\n")).expect(text);
            let (_, parsed) = &keys[0];
            assert_eq!((&parsed.owner, parsed.rights), (&owner, rights), "{text}");
        }
        for (text, words) in [
            ("ann:Connect", "unknown right"),
            ("ann:conect", "unknown right"),
            ("ann:call", "unknown right"),
            ("*:admin", "unknown right"),
            ("*:", "unknown right"),
            ("", "no subject"),
            (":connect", "no subject"),
        ] {
            let error = parse_variable(&format!("{key}={text}")).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains(key), "{error}");
        }
        let keys = parse_variable(&format!("{key}===ann")).expect("a key in base64");
        assert_eq!(keys[0].0, fingerprint(&format!("{key}==")));
        for text in ["org=5", "=5"] {
            let parsed = parse_variable(&format!("{key}={text}"));
            assert_eq!(parsed.is_err(), text == "org=5", "{text}");
        }
    }

    #[test]
    fn a_line_that_is_printed_is_read_as_it_was() {
        for (subject, rights, expires, paths) in [
            ("ann", Rights::CALL, None, vec![]),
            ("a b%20#é", Rights::CONNECT, Some("2027-01-31"), vec![]),
            (
                "*",
                Rights::CALL,
                None,
                vec!["/v1/users".to_owned(), "/v1/pages".to_owned()],
            ),
        ] {
            let key = GatewayKey {
                id: "one".into(),
                owner: Owner::Subject(Subject::new(subject)),
                rights,
                expires: expires.map(|it| parse_time(it).expect("a time")),
                paths,
            };
            let line = line(&fingerprint("key"), &key, expires);
            let read =
                parse_file(&format!("\u{feff}# a comment\r\n\r\n{line}\r\n")).expect("a line");
            assert_eq!(read, [(fingerprint("key"), key)], "{line}");
        }
    }

    #[test]
    fn a_file_without_a_key_says_so_in_a_comment() {
        assert_eq!(parse_file("# no key\n"), Ok(Vec::new()));
        for text in ["", "\n", "\u{feff}\r\n"] {
            let (_, reason) = parse_file(text).expect_err("it is empty");
            assert!(reason.contains("is empty"), "{reason}");
        }
    }

    #[test]
    fn a_broken_line_is_refused_with_its_number_and_without_its_text() {
        for (text, words) in [
            ("hunter2-is-a-long-key=ann", "a line is ID SHA-256"),
            ("one", "a line is ID"),
            (&format!("hunter/2 {DIGEST} ann call"), "not an id"),
            ("one hunter2 ann call", "not a SHA-256 digest"),
            (&format!("one {DIGEST}0 ann call"), "not a SHA-256 digest"),
            (&format!("one {DIGEST} ann"), "a line is ID"),
            (&format!("one {DIGEST} ann hunter2"), "the fourth field"),
            (
                &format!("one {DIGEST} ann call expires=hunter2"),
                "`expires` is not a date",
            ),
            (
                &format!("one {DIGEST} ann call paths=hunter2"),
                "`paths` are not paths",
            ),
            (
                &format!("one {DIGEST} ann call paths=/v1/hunter/*"),
                "include those under them",
            ),
            (
                &format!("one {DIGEST} ann call hunter2"),
                "after the rights",
            ),
            (
                &format!("one {DIGEST} ann call expires=2027-01-31 expires=2028-01-31"),
                "there twice",
            ),
            (&format!("one {DIGEST} %ff call"), "not UTF-8"),
            (
                &format!("two {DIGEST} ann call\ntwo {DIGEST} ann call"),
                "the id two is there twice",
            ),
            (
                &format!("two {DIGEST} ann call\none {DIGEST} ann call"),
                "the key of one is there twice",
            ),
        ] {
            let (line, reason) = parse_file(&format!("# comment\n{text}\n")).expect_err(text);
            assert_eq!(line, 1 + text.lines().count(), "{text}");
            assert!(reason.contains(words), "{text}: {reason}");
            assert!(!reason.contains("hunter"), "{reason}");
        }
    }
}
