use std::error::Error as StdError;

use super::transport::NotSent;
use crate::error::causes;

/// The prefixes of Notion's tokens. They are used only to redact text.
const TOKEN_PREFIXES: [&str; 4] = ["secret_", "ntn_", "nrt_", "adm_"];

const LONGEST: usize = 200;

/// Redacts text from a server for an error message: removes the secrets that were sent and words that look
/// like tokens, joins the lines, and limits the length.
pub(super) fn redact(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    // Longest first, because one secret may be a part of another.
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

/// Formats an error and its sources on one line, redacted. A source is omitted if an error before it quotes
/// it.
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
    fn secrets_and_words_like_tokens_are_redacted() {
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
