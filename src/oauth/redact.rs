use std::error::Error as StdError;

use super::transport::NotSent;
use crate::error::causes;

/// The prefixes of Notion's tokens. They serve to redact, and for nothing else.
const TOKEN_PREFIXES: [&str; 4] = ["secret_", "ntn_", "nrt_", "adm_"];

const LONGEST: usize = 200;

/// Text from a server, made fit for an error message: without the secrets that were sent to it,
/// without words that look like a token, on one line, and not too long.
pub(super) fn redact(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    // The longest first: one may be a part of another.
    let mut secrets: Vec<&str> = secrets
        .iter()
        .copied()
        .filter(|it| !it.is_empty())
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret, "[REDACTED]");
    }
    let mut words = text.split_whitespace().map(|word| {
        if TOKEN_PREFIXES.iter().any(|prefix| word.contains(prefix)) {
            "[REDACTED]"
        } else {
            word
        }
    });
    let mut line = words.next().unwrap_or_default().to_owned();
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
    line.chars()
        .filter(|character| !character.is_control())
        .take(LONGEST)
        .collect()
}

/// An error and its causes as one line, redacted. A cause is left out where an error before it quotes it.
pub(super) fn redact_causes(error: &(dyn StdError + 'static), secrets: &[&str]) -> String {
    let mut line = String::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !cause.is::<NotSent>() && !line.contains(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
    }
    redact(&line, secrets)
}

#[cfg(test)]
mod tests {
    use super::{redact, redact_causes};
    use crate::oauth::NotSent;

    #[test]
    fn secrets_and_what_looks_like_one_are_taken_out() {
        assert_eq!(
            redact("code c0de-1 was\nused, token=ntn_9 too", &["c0de-1"]),
            "code [REDACTED] was used, [REDACTED] too"
        );
        assert_eq!(redact(&"x".repeat(900), &[]).len(), 200);
        assert_eq!(redact("a\u{7}b", &[""]), "ab");
        assert_eq!(redact("s3cret", &["cre", "s3cret"]), "[REDACTED]");
    }

    #[test]
    fn causes_are_one_line_without_repetition_and_secrets() {
        let nested = NotSent::new(NotSent::new("no route\nfor s3cret"));
        assert_eq!(
            redact_causes(&nested, &["s3cret"]),
            "no route for [REDACTED]"
        );
        let outer = std::io::Error::other(NotSent::new("inner"));
        assert_eq!(
            redact_causes(&outer, &[]),
            "the request was not sent: inner"
        );
    }
}
