//! What commands print: text for people, or JSON, one object a line.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::SystemTime,
};

use notion_auth::BoxError;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Text from outside, such as a workspace's name, in which a terminal would find commands.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match is_hidden(it) || it == '\\' {
            true => {
                let _ = write!(escaped, "{}", it.escape_unicode());
            }
            false => escaped.push(it),
        }
    }
    escaped
}

/// Whether a character is not shown, and changes how others are.
pub(crate) fn is_hidden(it: char) -> bool {
    // Marks of writing direction could show a text as another one.
    let is_mark = matches!(it, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    it.is_control() || is_mark
}

/// RFC 3339, in UTC and whole seconds.
pub(crate) fn time(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let time = time.replace_nanosecond(0).unwrap_or(time);
    time.format(&Rfc3339).unwrap_or_default()
}

/// Prints a line. A reader that has seen enough, such as `head`, ends the command without an error.
pub(crate) fn line(text: &str) -> Result<(), BoxError> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_act_on_a_terminal_are_escaped() {
        for (text, expected) in [
            ("Acme Ltd. 🚀 é", "Acme Ltd. 🚀 é"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\r\nb", "a\\u{d}\\u{a}b"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\\b", "a\\u{5c}b"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }
}
