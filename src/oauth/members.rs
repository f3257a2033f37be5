//! A tolerant parser for the top-level members of a JSON object, including truncated or malformed ones.
//!
//! A token response may hold the only copy of a token pair, so a defect must not cost the rest. Members are
//! found by the structure of the text and never by searching for their name, because names of workspaces
//! and people are chosen by strangers.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The members read from an object. They may contain tokens.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Members {
    /// The members whose name and value are complete and valid, except the two tokens. The last one of a
    /// name counts, as in common JSON parsers.
    pub(super) members: Map<String, Value>,
    pub(super) access_token: TokenMember,
    pub(super) refresh_token: TokenMember,
    /// Whether the object's closing brace was found.
    pub(super) is_complete: bool,
}

/// The result of reading a member that should be a token.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct TokenMember {
    /// The last non-empty string. A later value of another type does not replace it, because it may be the
    /// only copy.
    pub(super) token: Option<Zeroizing<String>>,
    /// Whether there were several different tokens.
    pub(super) is_in_conflict: bool,
    /// Describes a value that is neither a token nor null.
    pub(super) problem: Option<&'static str>,
}

impl Members {
    /// Reads the first object of the text, or, in an array, the first object that has an access token. Text
    /// after it is ignored.
    ///
    /// Returns `None` if the text does not begin with an object or with an array that contains one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut scanner = Scanner { text, at: 0 };
        scanner.skip_blanks();
        // A prefix that keeps scripts of other origins from executing the response. Clients of such servers
        // skip it.
        if scanner.rest().starts_with(")]}'") {
            scanner.at += 4;
        }
        scanner.object()
    }
}

/// A cursor over the bytes of a text. It stops only at character boundaries.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn object(&mut self) -> Option<Members> {
        let mut first = None;
        let mut depth = 0_usize;
        loop {
            self.skip_blanks_and_commas();
            if self.take(b'[') {
                depth += 1;
            } else if self.take(b'{') {
                let read = self.members();
                if depth == 0 || read.access_token.token.is_some() {
                    return Some(read);
                }
                if !read.is_complete {
                    return first.or(Some(read));
                }
                first.get_or_insert(read);
            } else if depth == 0 {
                return first;
            } else if self.take(b']') {
                depth -= 1;
            } else if self.value().is_none() {
                return first;
            }
        }
    }

    /// Reads the members of an object after its opening brace.
    fn members(&mut self) -> Members {
        let mut read = Members::default();
        loop {
            self.skip_blanks_and_commas();
            if self.take(b'}') {
                read.is_complete = true;
                return read;
            }
            let Some(name) = self.string() else {
                return read;
            };
            self.skip_blanks();
            if !self.take(b':') {
                return read;
            }
            self.skip_blanks();
            let Some(value) = self.value() else {
                return read;
            };
            read.add(name, value);
            self.skip_blanks();
            if !matches!(self.peek(), Some(b',' | b'}')) {
                return read;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        self.at = self.text.len() - self.rest().trim_start_matches(is_skipped).len();
    }

    fn skip_blanks(&mut self) {
        self.skip(is_junk);
    }

    fn skip_blanks_and_commas(&mut self) {
        self.skip(|character| is_junk(character) || character == ',');
    }

    fn since(&self, start: usize) -> Option<&'a str> {
        self.text.get(start..self.at)
    }

    /// Reads a complete string, with its quotes.
    fn string(&mut self) -> Option<&'a str> {
        let start = self.at;
        if !self.take(b'"') {
            return None;
        }
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return self.since(start);
                }
                // The escaped character may have several bytes. Only its first byte can be a quote or a
                // backslash.
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// Reads a complete value of any type.
    fn value(&mut self) -> Option<&'a str> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' | b'[' => self.nested(),
            _ => self.literal(),
        }
    }

    /// Reads a number, `true`, `false`, `null`, or another bare word such as `NaN` or `3_600`. It is
    /// complete if something follows it.
    fn literal(&mut self) -> Option<&'a str> {
        let start = self.at;
        while self.peek()?.is_ascii_alphanumeric()
            || matches!(self.peek(), Some(b'+' | b'-' | b'.' | b'_'))
        {
            self.at += 1;
        }
        self.since(start).filter(|word| !word.is_empty())
    }

    /// Reads a complete object or array.
    fn nested(&mut self) -> Option<&'a str> {
        let start = self.at;
        let mut closing = Vec::new();
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' => closing.push(b'}'),
                b'[' => closing.push(b']'),
                byte @ (b'}' | b']') if closing.pop() != Some(byte) => return None,
                _ => {}
            }
            self.at += 1;
            if closing.is_empty() {
                return self.since(start);
            }
        }
    }
}

impl Members {
    /// Adds a member if its name and value are valid JSON. Tokens need not be valid.
    fn add(&mut self, name: &str, value: &str) {
        let Ok(name) = serde_json::from_str::<String>(name) else {
            return;
        };
        match name.as_str() {
            "access_token" => self.access_token.add(value),
            "refresh_token" => self.refresh_token.add(value),
            _ => {
                if let Ok(value) = serde_json::from_str(value) {
                    self.members.insert(name, value);
                }
            }
        }
    }
}

impl TokenMember {
    /// Returns whether the member is an empty string.
    pub(super) fn is_empty(&self) -> bool {
        self.token.is_none() && self.problem == Some(EMPTY)
    }

    /// Returns whether the member is a string.
    pub(super) fn is_text(&self) -> bool {
        self.token.is_some() || self.is_empty()
    }

    fn add(&mut self, value: &str) {
        let token = match value.as_bytes() {
            b"null" => return,
            [b'"', ..] => unquoted(value),
            [b'{', ..] => return self.problem = Some("an object"),
            [b'[', ..] => return self.problem = Some("an array"),
            b"true" | b"false" => return self.problem = Some("a boolean"),
            [b'-' | b'0'..=b'9', ..] => return self.problem = Some("a number"),
            _ => return self.problem = Some("not valid JSON"),
        };
        if token.is_empty() {
            self.problem = Some(EMPTY);
            return;
        }
        self.is_in_conflict |= self.token.as_ref().is_some_and(|older| *older != token);
        self.token = Some(token);
    }
}

const EMPTY: &str = "empty";

/// Decodes a string, including one that is not valid JSON: control characters and unknown escapes are kept,
/// and half a surrogate pair is replaced.
fn unquoted(literal: &str) -> Zeroizing<String> {
    // An escape is at least as long as the character it encodes, so the buffer never grows.
    let mut text = Zeroizing::new(String::with_capacity(literal.len()));
    let inner = literal.strip_prefix('"').unwrap_or(literal);
    let mut rest = inner.strip_suffix('"').unwrap_or(inner);
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        rest = escape;
        if let Some(unit) = code_unit(rest) {
            rest = rest.get(5..).unwrap_or_default();
            let low = rest.strip_prefix('\\').and_then(code_unit);
            let pair = std::iter::once(unit).chain(low);
            match char::decode_utf16(pair).next() {
                Some(Ok(character)) => {
                    text.push(character);
                    if character.len_utf16() == 2 {
                        rest = rest.get(6..).unwrap_or_default();
                    }
                }
                _ => text.push(char::REPLACEMENT_CHARACTER),
            }
            continue;
        }
        let mut characters = rest.chars();
        match characters.next() {
            Some(same @ ('"' | '\\' | '/')) => text.push(same),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some(other) => {
                text.push('\\');
                text.push(other);
            }
            None => text.push('\\'),
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
    text
}

/// Parses the UTF-16 code unit of an escape `uXXXX`.
fn code_unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix('u')?.get(..4)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// Accepts more than the four blanks of RFC 8259 section 2, because proxies and templates insert others.
pub(super) fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

/// Returns whether the character is skipped between the tokens of the JSON grammar.
fn is_junk(character: char) -> bool {
    is_blank(character) || character.is_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::{Members, TokenMember};

    /// Returns the members of the text, and whether the object is complete.
    #[track_caller]
    fn read(text: &str) -> (Value, bool) {
        let read = Members::read(text).unwrap_or_else(|| panic!("no object: {text}"));
        let is_complete = read.is_complete;
        (Value::Object(all(read)), is_complete)
    }

    /// Returns all members, including the tokens.
    fn all(read: Members) -> Map<String, Value> {
        let mut members = read.members;
        for (name, member) in [
            ("access_token", read.access_token),
            ("refresh_token", read.refresh_token),
        ] {
            if let Some(token) = member.token {
                members.insert(name.to_owned(), token.as_str().into());
            }
        }
        members
    }

    /// Removes token members that are not tokens, from members read by serde_json.
    fn with_tokens_only(mut members: Map<String, Value>) -> Map<String, Value> {
        for name in ["access_token", "refresh_token"] {
            if members
                .get(name)
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
            {
                members.remove(name);
            }
        }
        members
    }

    #[test]
    fn members_of_malformed_json_are_read() {
        let pair = json!({"access_token": "a", "refresh_token": "r"});
        for text in [
            r#"{"access_token":"a","refresh_token":"r"}"#,
            " \t\r\n{ \"access_token\" : \"a\" ,\n\"refresh_token\":\"r\" } ",
            r#"[{"access_token":"a","refresh_token":"r"}]"#,
            r#"[ [ {"access_token":"a","refresh_token":"r"}"#,
            r#"{"access_token":"a","refresh_token":"r"} trailing }"#,
            r#"{"access_token":"a","refresh_token":"r"}{"access_token":"b"}"#,
            r#"[{"access_token":"a","refresh_token":"r"},{"access_token":"b"}]"#,
            r#"{"access_token":"a","refresh_token":"r",}"#,
            r#"{"expires_in":NaN,"access_token":"a","x":-Infinity,"refresh_token":"r"}"#,
            r#"{"expires_in":1e999,"access_token":"a","refresh_token":"r"}"#,
            r#"{"workspace_name":"\ud83d","access_token":"a","refresh_token":"r"}"#,
            r#"{"\ud83d":1,"access_token":"a","refresh_token":"r"}"#,
            "{\"workspace_name\":\"two\nlines\",\"access_token\":\"a\",\"refresh_token\":\"r\"}",
            r#"{"acc\u0065ss_token":"\u0061","refresh_token":"r"}"#,
            r#"{,"access_token":"a",,"expires_in":3_600,"refresh_token":"r",,}"#,
            "\u{feff} \u{c}\u{a0}\u{feff}\0\u{1e}{\u{a0}\"access_token\":\"a\",\"refresh_token\":\"r\"}",
            r#"[null,1,"{",[],{"access_token":"a","refresh_token":"r"}]"#,
            r#"[{},{"access_token":null},{"access_token":"a","refresh_token":"r"}"#,
            ")]}',\n{\"access_token\":\"a\",\"refresh_token\":\"r\"}",
        ] {
            assert_eq!(read(text), (pair.clone(), true), "{text}");
        }
    }

    #[test]
    fn members_before_the_cut_are_read() {
        for (text, members) in [
            ("{", json!({})),
            (r#"{"a""#, json!({})),
            (r#"{"a":"#, json!({})),
            (r#"{"a":"x"#, json!({})),
            (r#"{"a":"x\"#, json!({})),
            (r#"{"a":"x\"","#, json!({"a": "x\""})),
            (r#"{"a":"x""#, json!({"a": "x"})),
            (r#"{"a":12"#, json!({})),
            (r#"{"a":12,"b":nul"#, json!({"a": 12})),
            (r#"{"a":[1,{"b":2}"#, json!({})),
            (r#"{"a":[1,{"b":2}]"#, json!({"a": [1, {"b": 2}]})),
            // The text continues with something that is not JSON, so the rest is unknown.
            (r#"{"a":"x" "b":"y"}"#, json!({"a": "x"})),
            (r#"{"a":"x","b" "y"}"#, json!({"a": "x"})),
            (r#"{"a":"x",'b':'y'}"#, json!({"a": "x"})),
            (r#"{"a":"x"/* b */,"b":"y"}"#, json!({"a": "x"})),
            (r#"{"a":[},"b":"y"],"c":"z"}"#, json!({})),
        ] {
            assert_eq!(read(text), (members, false), "{text}");
        }
    }

    #[test]
    fn names_in_strings_and_in_nested_values_are_not_members() {
        for value in [
            json!("\"access_token\":\"evil\""),
            json!("\\\",\"access_token\":\"evil\",\"x\":\""),
            json!("}{\"access_token\":\"evil\"}"),
            json!({"access_token": "evil", "refresh_token": "evil"}),
            json!([{"access_token": "evil"}, ["access_token", "evil"]]),
        ] {
            let answer = json!({"workspace_name": value, "access_token": "good"}).to_string();
            assert_eq!(read(&answer).0["access_token"], "good", "{answer}");
            let before = format!(r#"{{"workspace_name":{value},"access_token":"good"}}"#);
            assert_eq!(read(&before).0["access_token"], "good", "{before}");
            let only = format!(r#"{{"workspace_name":{value}"#);
            assert_eq!(read(&only).0.get("access_token"), None, "{only}");
        }
    }

    #[test]
    fn last_of_several_members_counts() {
        let read = Members::read(r#"{"a":"x","b":1,"\u0061":"y"}"#).unwrap();
        assert_eq!(read.members["a"], "y");
    }

    /// Reads the refresh token of a text with these members.
    fn refresh_token(members: &str) -> TokenMember {
        Members::read(&format!("{{{members}}}"))
            .unwrap()
            .refresh_token
    }

    #[test]
    fn last_token_counts_and_a_conflict_is_noted() {
        for (values, token, is_in_conflict, problem) in [
            (&[][..], None, false, None),
            (&["null"], None, false, None),
            (&[r#""a""#, r#""a""#], Some("a"), false, None),
            (&[r#""a""#, r#""\u0062""#], Some("b"), true, None),
            (&[r#""a""#, "null"], Some("a"), false, None),
            (&["null", r#""a""#], Some("a"), false, None),
            (&[r#""a""#, r#""""#], Some("a"), false, Some("empty")),
            (&[r#""a""#, "-7"], Some("a"), false, Some("a number")),
            (&["true", r#""a""#], Some("a"), false, Some("a boolean")),
            (&["7", "null"], None, false, Some("a number")),
            (&[r#"{"a":"b"}"#], None, false, Some("an object")),
            (&[r#"["b"]"#], None, false, Some("an array")),
            (&["NaN"], None, false, Some("not valid JSON")),
        ] {
            let members: Vec<String> = values
                .iter()
                .map(|value| format!(r#""refresh_token":{value}"#))
                .collect();
            let read = refresh_token(&members.join(","));
            assert_eq!(
                read.token.as_ref().map(|it| it.as_str()),
                token,
                "{values:?}"
            );
            assert_eq!(read.is_in_conflict, is_in_conflict, "{values:?}");
            assert_eq!(read.problem, problem, "{values:?}");
        }
    }

    #[test]
    fn token_that_is_not_valid_json_is_read() {
        for (literal, token) in [
            ("a\tb\nc\u{1}", "a\tb\nc\u{1}"),
            (r"a\ud83d", "a\u{fffd}"),
            (r"a\ud83db", "a\u{fffd}b"),
            (r"a\ud83d\u0062", "a\u{fffd}b"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\ude00", "\u{fffd}"),
            (r"a\xb\é", r"a\xb\é"),
            (r"\u12", r"\u12"),
            (r"\u+123", r"\u+123"),
            (
                r#"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"#,
                "\"\\/\u{8}\u{c}\n\r\té\u{1f600}",
            ),
        ] {
            let read = refresh_token(&format!(r#""refresh_token":"{literal}""#));
            assert_eq!(read.token.unwrap().as_str(), token, "{literal}");
        }
    }

    #[test]
    fn text_that_does_not_begin_with_an_object_has_no_members() {
        for text in [
            "",
            " ",
            "[",
            "[]",
            "[1,[]]",
            "[1;{\"a\":1}]",
            "null",
            ",null,{}",
            "\"{\"",
            "<p>{\"a\":1}",
            ")]}',\nnull",
            "a=1&b=2",
            "\u{7b}\u{0}".trim_start_matches('{'),
        ] {
            assert_eq!(Members::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn value_that_is_nested_too_deep_is_left_out() {
        for (depth, is_kept) in [(1, true), (127, true), (128, false), (1_000_000, false)] {
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let (members, is_complete) = read(&format!(r#"{{"deep":{deep},"access_token":"a"}}"#));
            assert!(is_complete);
            assert_eq!(members["access_token"], "a");
            assert_eq!(members.get("deep").is_some(), is_kept, "{depth}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            Just("access_token".to_owned()),
            Just("refresh_token".to_owned()),
            any::<String>(),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\\\\"{}\\[\\]:,a ]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(|map| json!(map)),
            ]
        })
    }

    /// Generates an object with a token pair somewhere in it, as compact or indented JSON.
    fn any_answer() -> impl Strategy<Value = (String, Value)> {
        let members = prop::collection::btree_map(any::<String>(), any_json(), 0..3);
        let token = || ".{1,8}";
        (members, token(), token(), any::<bool>()).prop_map(|(members, access, refresh, indent)| {
            let mut answer = json!(members);
            answer["access_token"] = access.into();
            answer["refresh_token"] = refresh.into();
            let text = if indent {
                serde_json::to_string_pretty(&answer).unwrap()
            } else {
                answer.to_string()
            };
            (text, answer)
        })
    }

    /// Generates text from parts of JSON, and any other text.
    fn any_text() -> impl Strategy<Value = String> {
        const PARTS: [&str; 22] = [
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "\\\"",
            "\\u0061",
            "\\ud83d",
            "null",
            "1",
            "-",
            "1e999",
            " ",
            "\n",
            "é",
            "\"access_token\"",
            "\"refresh_token\"",
            "\"a\"",
            "'",
        ];
        prop_oneof![
            any::<String>(),
            prop::collection::vec(prop::sample::select(&PARTS[..]), 0..40)
                .prop_map(|parts| format!("{{{}", parts.concat())),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn valid_json_is_read_as_serde_json_reads_it(json in any_json(), indent in any::<bool>()) {
            let text = if indent {
                serde_json::to_string_pretty(&json).unwrap()
            } else {
                json.to_string()
            };
            match (Members::read(&text), serde_json::from_str(&text).unwrap()) {
                (Some(read), Value::Object(members)) => {
                    prop_assert!(read.is_complete);
                    prop_assert_eq!(all(read), with_tokens_only(members));
                }
                // An object inside an array is also accepted.
                (Some(_), Value::Array(_)) | (None, _) => prop_assert!(!json.is_object()),
                (Some(_), json) => prop_assert!(false, "{json}"),
            }
        }

        #[test]
        fn every_truncation_has_each_token_that_is_complete((text, answer) in any_answer()) {
            // Finds the first end after which a closing brace completes an object that has the member.
            let end_of = |name: &str| {
                let value = &answer[name];
                let at = (0..=text.len())
                    .filter(|end| text.is_char_boundary(*end))
                    .find(|end| {
                        let closed = format!("{}}}", &text[..*end]);
                        let read = serde_json::from_str::<Value>(&closed);
                        read.is_ok_and(|it| it.get(name) == Some(value))
                    });
                at.unwrap()
            };
            let ends = ["access_token", "refresh_token"].map(end_of);
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                let read = Members::read(&text[..end]).unwrap_or_default();
                prop_assert!(!read.is_complete);
                let members = all(read);
                for (name, value) in &members {
                    prop_assert_eq!(value, &answer[name]);
                }
                for (name, first) in ["access_token", "refresh_token"].iter().zip(ends) {
                    prop_assert_eq!(members.contains_key(*name), end >= first, "{} at {}", name, end);
                }
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in any_text()) {
            let read = Members::read(&text);
            if let (Some(read), Ok(Value::Object(mut members))) = (read, serde_json::from_str(&text)) {
                prop_assert!(read.is_complete);
                // serde_json takes the last duplicate, even if it is not a token.
                for name in ["access_token", "refresh_token"] {
                    members.remove(name);
                }
                prop_assert_eq!(read.members, members);
            }
        }
    }
}
