use std::{fmt, time::Duration};

use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use super::{
    body::Text,
    error::{Endpoint, OAuthError, Refusal},
    members::Members,
    redact::{redact, redact_causes},
    transport::{Answer, SendError},
};

/// A response with a success status.
pub(super) struct Success {
    about: About,
    pub(super) body: Text,
}

/// Facts about a response, for messages.
pub(super) struct About {
    status: StatusCode,
    content_type: String,
    bytes: usize,
}

impl Success {
    /// Classifies the outcome of a call as a success, not sent, a definite failure, or ambiguous.
    ///
    /// Definite failures are a complete 429, a complete 4xx in one of Notion's two error formats, and a
    /// status that shows that the URL is wrong. `secrets` are redacted from text that is quoted from the
    /// server.
    pub(super) fn of(
        outcome: Result<Answer, SendError>,
        endpoint: Endpoint,
        secrets: &[&str],
    ) -> Result<Self, OAuthError> {
        let answer = outcome.map_err(|error| match error {
            SendError::NotSent(cause) => {
                OAuthError::not_sent(redact_causes(&*cause, secrets), cause)
            }
            SendError::TimedOut(limit) => OAuthError::ambiguous(format!(
                "no answer of the OAuth endpoint began within {limit:?}"
            )),
            SendError::Broken(cause) => OAuthError::ambiguous(format!(
                "the connection to the OAuth endpoint broke before an answer began ({})",
                redact_causes(&*cause, secrets)
            ))
            .with_source(cause),
        })?;
        let status = answer.status;
        let retry_after = retry_after(&answer);
        let received = Self {
            about: About::of(&answer, secrets),
            body: Text::decode(&answer.headers, &answer.body, answer.cut, secrets),
        };
        if status.is_success() {
            return Ok(received);
        }
        if status == StatusCode::TOO_MANY_REQUESTS && received.body.is_complete() {
            return Err(OAuthError::rate_limited(retry_after));
        }
        let is_wrong_url = status.is_redirection()
            || status == StatusCode::NOT_FOUND
            || status == StatusCode::METHOD_NOT_ALLOWED;
        let refusal = received.refusal(secrets);
        Err(match refusal {
            Some(refusal) if refusal.code == INVALID_REQUEST_URL => {
                OAuthError::wrong_endpoint(endpoint, status)
            }
            Some(refusal) if !is_wrong_url || OAUTH_CODES.contains(&&*refusal.code) => {
                OAuthError::refused(refusal)
            }
            _ if is_wrong_url => OAuthError::wrong_endpoint(endpoint, status),
            _ => received.unusable("it is neither a success nor an OAuth error"),
        })
    }

    /// Parses the members of the response, if its JSON object is complete.
    pub(super) fn members(&self) -> Option<Map<String, Value>> {
        let read = Members::read(&self.body.text)?;
        (read.is_complete && self.body.is_complete()).then_some(read.members)
    }

    /// Checks a response whose status alone matters (RFC 7009 section 2.2). A page that is not JSON does
    /// not come from the OAuth endpoint.
    pub(super) fn acknowledged(self) -> Result<(), OAuthError> {
        let is_empty = self.body.is_complete() && self.body.text.is_empty();
        if is_empty || self.members().is_some() {
            Ok(())
        } else {
            Err(self.unusable(NO_OBJECT))
        }
    }

    /// Parses an OAuth error (RFC 6749 section 5.2: `{"error", "error_description"?}`) or an error of
    /// Notion's API (`{"object":"error", "code", "message"}`) with a matching status.
    fn refusal(&self, secrets: &[&str]) -> Option<Refusal> {
        let status = self.about.status;
        if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT {
            return None;
        }
        let members = self.members()?;
        let text = |name| members.get(name).and_then(Value::as_str);
        let (code, description) = match text("error") {
            Some(code) => (code, text("error_description")),
            None if text("object") == Some("error") => (text("code")?, text("message")),
            None => return None,
        };
        let is_code = !code.is_empty()
            && code.len() <= 64
            && code
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && (OAUTH_CODES.contains(&code)
                || API_CODES.contains(&code)
                || redact(code, secrets) == code);
        is_code.then(|| Refusal {
            status: status.as_u16(),
            code: code.to_owned(),
            description: description.map(|text| redact(text, secrets)),
            request_id: text("request_id").map(|text| redact(text, secrets)),
        })
    }

    /// Returns the error for a response that cannot be used for this reason.
    pub(super) fn unusable(self, reason: &str) -> OAuthError {
        let about = self.about;
        if !self.body.is_flawed() {
            return OAuthError::ambiguous(format!("{about} cannot be used: {reason}"));
        }
        let flaws = self.body.flaws();
        let error = OAuthError::ambiguous(format!("{about} cannot be used: {flaws}; {reason}"));
        match self.body.into_cause() {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }

    /// Logs that tokens were read from a defective response.
    pub(super) fn log_flaw(&self) {
        let flaws = if self.body.is_flawed() {
            self.body.flaws()
        } else {
            "its JSON is not complete".to_owned()
        };
        tracing::warn!("{} is flawed, and its tokens are used: {flaws}", self.about);
    }

    /// Logs that `refresh_token` is present and not a token.
    pub(super) fn log_no_refresh_token(&self, problem: &str) {
        tracing::warn!(
            "{} has no usable refresh token, and a stored one is kept: its `refresh_token` is \
             {problem}",
            self.about
        );
    }
}

pub(super) const NO_OBJECT: &str = "it is not a JSON object";

impl About {
    fn of(answer: &Answer, secrets: &[&str]) -> Self {
        let content_type = answer.headers.get(CONTENT_TYPE);
        let name = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let essence = name.as_deref().and_then(|name| name.split(';').next());
        Self {
            status: answer.status,
            content_type: essence.map_or_else(|| "none".to_owned(), |name| shown(name, secrets)),
            bytes: answer.body.len(),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status,
            content_type,
            bytes,
        } = self;
        let status = status.as_u16();
        write!(
            f,
            "the answer of the OAuth endpoint (status {status}, content type {content_type}, {bytes} bytes)"
        )
    }
}

/// Redacts a content type for a message: without secrets, limited in length, and with the characters of RFC
/// 9110 section 5.6.2 only.
fn shown(name: &str, secrets: &[&str]) -> String {
    redact(name, secrets)
        .chars()
        .filter(|it| it.is_ascii_alphanumeric() || "!#$&^_.+-/ ".contains(*it))
        .take(40)
        .collect()
}

fn retry_after(answer: &Answer) -> Option<Duration> {
    let after = crate::header::retry_after(&answer.headers, LONGEST_WAIT)?;
    Some(after.min(LONGEST_WAIT))
}

/// Upper limit for `Retry-After`, so that a server cannot block a subject for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The error codes of RFC 6749 section 5.2.
const OAUTH_CODES: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// Codes of Notion's API. Like OAuth's, they are not redacted even if a secret happens to be a part of one.
const API_CODES: [&str; 3] = ["validation_error", "unauthorized", INVALID_REQUEST_URL];

/// Notion's error code for an unknown path.
const INVALID_REQUEST_URL: &str = "invalid_request_url";

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::{super::transport::SendError, Endpoint, Success};
    use crate::oauth::NotSent;

    #[test]
    fn reason_of_a_call_without_an_answer_is_shown_without_secrets() {
        let broken = io::Error::other("reset after s3cret and ntn_0");
        let unsent = NotSent::new(io::Error::other("no route for s3cret"));
        for (error, words) in [
            (
                SendError::Broken(broken.into()),
                "broke before an answer began (reset after [REDACTED] and [REDACTED])",
            ),
            (
                SendError::NotSent(unsent.into()),
                "nothing was sent: no route for [REDACTED]",
            ),
            (SendError::TimedOut(Duration::from_secs(10)), "within 10s"),
        ] {
            let error = Success::of(Err(error), Endpoint::Token, &["s3cret"]).err();
            let text = error.unwrap().to_string();
            assert!(text.contains(words), "{text}");
        }
    }
}
