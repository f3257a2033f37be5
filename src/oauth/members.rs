//! The top-level members of a JSON object, also of one that was cut off or is not quite JSON.
//!
//! A token answer may hold the only copy of a token pair, so one flaw must not cost the rest. A
//! member is found by the structure of the text and never by a search for its name, because names
//! of workspaces and people are chosen by strangers.

use serde_json::{Map, Value};

/// What was read of an object. It may contain tokens.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Members {
    /// The members whose name and value are complete and valid. Of a name that occurs several
    /// times the last one counts, as in every common JSON parser.
    pub(super) members: Map<String, Value>,
    /// Whether the object's closing brace was found.
    pub(super) is_complete: bool,
    /// Names that occur with different values.
    pub(super) conflicts: Vec<String>,
}

impl Members {
    /// Reads the first object of the text, also one inside arrays. What comes after it is ignored.
    ///
    /// `None` if the text does not begin with an object.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut scanner = Scanner { text, at: 0 };
        scanner.skip_blanks();
        while scanner.take(b'[') {
            scanner.skip_blanks();
        }
        scanner.take(b'{').then(|| scanner.members())
    }
}

/// Walks over the bytes of a text. It stops only at ASCII characters and at the text's end, which
/// are character boundaries.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The members of an object whose opening brace was taken.
    fn members(mut self) -> Members {
        let mut read = Members {
            members: Map::new(),
            is_complete: false,
            conflicts: Vec::new(),
        };
        loop {
            self.skip_blanks();
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
            if !self.take(b',') && self.peek() != Some(b'}') {
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

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn since(&self, start: usize) -> Option<&'a str> {
        self.text.get(start..self.at)
    }

    /// A complete string, with its quotes.
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
                // The escaped character may have several bytes, none of which is a quote or a
                // backslash unless it is the first.
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// A complete value of any type.
    fn value(&mut self) -> Option<&'a str> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' | b'[' => self.nested(),
            _ => self.literal(),
        }
    }

    /// A number, `true`, `false`, `null`, or another bare word such as `NaN`. It is complete if
    /// something follows it.
    fn literal(&mut self) -> Option<&'a str> {
        let start = self.at;
        while self.peek()?.is_ascii_alphanumeric()
            || matches!(self.peek(), Some(b'+' | b'-' | b'.'))
        {
            self.at += 1;
        }
        self.since(start).filter(|word| !word.is_empty())
    }

    /// A complete object or array.
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
    /// Adds a member, unless its name or its value is not valid JSON.
    fn add(&mut self, name: &str, value: &str) {
        let (Ok(name), Ok(value)) = (
            serde_json::from_str::<String>(name),
            serde_json::from_str::<Value>(value),
        ) else {
            return;
        };
        if self.members.get(&name).is_some_and(|older| *older != value) {
            self.conflicts.push(name.clone());
        }
        self.members.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::Members;

    /// The members of the text, and whether the object is complete.
    #[track_caller]
    fn read(text: &str) -> (Value, bool) {
        let read = Members::read(text).unwrap_or_else(|| panic!("no object: {text}"));
        (Value::Object(read.members), read.is_complete)
    }

    #[test]
    fn members_of_what_is_not_quite_json_are_read() {
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
            // What follows is no JSON, so nothing says what it would have been.
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
    fn last_of_several_members_counts_and_a_conflict_is_noted() {
        let same = Members::read(r#"{"a":"x","b":1,"a":"x"}"#).unwrap();
        assert_eq!(same.members["a"], "x");
        assert!(same.conflicts.is_empty());
        let different = Members::read(r#"{"a":"x","b":1,"\u0061":"y"}"#).unwrap();
        assert_eq!(different.members["a"], "y");
        assert_eq!(different.conflicts, ["a"]);
    }

    #[test]
    fn text_that_begins_with_no_object_has_no_members() {
        for text in [
            "",
            " ",
            "[",
            "[]",
            "[1,{\"a\":1}]",
            "null",
            "\"{\"",
            "<p>{\"a\":1}",
            ")]}',\n{\"a\":1}",
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

    /// An object with a token pair somewhere in it, as compact or as indented JSON.
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

    /// Text made of the parts of JSON, and any other text.
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
                    prop_assert_eq!(read.members, members);
                }
                // An object inside an array.
                (Some(_), Value::Array(_)) | (None, _) => prop_assert!(!json.is_object()),
                (Some(_), json) => prop_assert!(false, "{json}"),
            }
        }

        #[test]
        fn every_truncation_has_both_tokens_or_lacks_one((text, answer) in any_answer()) {
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                let Some(read) = Members::read(&text[..end]) else {
                    continue;
                };
                prop_assert!(!read.is_complete);
                for (name, value) in &read.members {
                    prop_assert_eq!(value, &answer[name]);
                }
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in any_text()) {
            let read = Members::read(&text);
            if let (Some(read), Ok(Value::Object(members))) = (read, serde_json::from_str(&text)) {
                prop_assert!(read.is_complete);
                prop_assert_eq!(read.members, members);
            }
        }
    }
}
