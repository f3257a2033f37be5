//! `notion-auth-gateway import`: stores credentials from a file, such as those of a program that the gateway replaces.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use notion_auth::{
    BoxError, ExplicitCredentials, NotionAuthProvider, NotionUserCredentials, Subject,
    store::RecordState,
};
use serde_json::{Map, Value, json};

use crate::{
    cli::Import,
    commands,
    output::{escaped, line},
    settings::ConnectionSettings,
    vault,
};

/// What became of one line.
enum Imported {
    Stored,
    Replaced,
    /// The subject has a record.
    LeftAlone(&'static str),
    Refused(String),
}

/// Stores the credentials of each line. A line that is refused stops nothing, and makes the command fail in the end.
pub(crate) async fn import(settings: &ConnectionSettings, options: Import) -> Result<(), BoxError> {
    let shown = escaped(&options.file.display().to_string());
    let lines = open(&options.file).map_err(|error| format!("{shown}: {error}"))?;
    let vault = vault::open(settings).await?;
    let provider = vault::start(vault.builder).await?;
    let (mut stored, mut replaced, mut left_alone, mut refused) = (0, 0, 0, 0);
    for (at, text) in (1..).zip(lines.lines()) {
        let text = text.map_err(|error| format!("{shown}:{at}: {error}"))?;
        let text = text.trim_matches(|it: char| it.is_whitespace() || it == '\u{feff}');
        if text.is_empty() {
            continue;
        }
        let (subject, outcome) = match read(text) {
            Ok((subject, credentials)) => {
                let outcome = store(&provider, &subject, credentials, options.replace).await;
                (Some(subject), outcome)
            }
            Err(reason) => (None, Imported::Refused(reason)),
        };
        let (code, detail) = match &outcome {
            Imported::Stored => ("stored", String::new()),
            Imported::Replaced => ("replaced", String::new()),
            Imported::LeftAlone("active") => ("left_alone", "it is connected".to_owned()),
            Imported::LeftAlone(state) => ("left_alone", format!("its state is {state}")),
            Imported::Refused(reason) => ("refused", reason.clone()),
        };
        match outcome {
            Imported::Stored => stored += 1,
            Imported::Replaced => replaced += 1,
            Imported::LeftAlone(_) => left_alone += 1,
            Imported::Refused(_) => refused += 1,
        }
        let subject = subject.as_ref().map(Subject::as_str);
        if options.output.json {
            let report = json!({"line": at, "subject": subject, "outcome": code, "detail": detail});
            line(&report.to_string())?;
        } else if !detail.is_empty() {
            let subject = subject.map_or_else(String::new, |it| format!(" {}", escaped(it)));
            line(&format!(
                "{shown}:{at}:{subject} {code}: {}",
                escaped(&detail)
            ))?;
        }
    }
    if !options.output.json {
        line(&format!(
            "{stored} stored, {replaced} replaced, {left_alone} left alone, {refused} refused"
        ))?;
    }
    match refused {
        0 => Ok(()),
        _ => Err(format!("{refused} lines of {shown} were refused").into()),
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    Ok(Box::new(BufReader::new(File::open(path)?)))
}

async fn store(
    provider: &NotionAuthProvider,
    subject: &Subject,
    credentials: NotionUserCredentials,
    replace: bool,
) -> Imported {
    let failed = |error| Imported::Refused(commands::failed(&error).to_string());
    if !replace {
        // In one step, because running gateways connect and refresh over the same store.
        return match provider
            .store_credentials_if_absent(subject, credentials)
            .await
        {
            Ok(true) => Imported::Stored,
            Ok(false) => match provider.status(subject).await {
                Ok(status) => {
                    let state = status.map_or(RecordState::Disconnected, |it| it.state);
                    Imported::LeftAlone(state.code())
                }
                Err(error) => failed(error),
            },
            Err(error) => failed(error),
        };
    }
    let is_connected = match provider.status(subject).await {
        Ok(status) => status.is_some(),
        Err(error) => return failed(error),
    };
    match provider.store_credentials(subject, credentials).await {
        Ok(()) if is_connected => Imported::Replaced,
        Ok(()) => Imported::Stored,
        Err(error) => failed(error),
    }
}

/// Reads `{"subject":"…","credentials":{…}}`. The errors show nothing of the line, because it has tokens.
fn read(text: &str) -> Result<(Subject, NotionUserCredentials), String> {
    let parsed: Result<Map<String, Value>, _> = serde_json::from_str(text);
    let mut members = parsed.map_err(|error| match error.is_data() {
        true => "it is not a JSON object".to_owned(),
        false => format!("it is not JSON, from column {} on", error.column()),
    })?;
    let subject = match members.remove("subject") {
        Some(Value::String(subject)) if !subject.is_empty() => Subject::new(subject),
        _ => return Err("it has no member `subject` with a text".to_owned()),
    };
    let credentials = match members.remove("credentials") {
        Some(credentials) if members.is_empty() => credentials,
        Some(_) => return Err("it has other members beside `subject` and `credentials`".to_owned()),
        None => return Err("it has no member `credentials`".to_owned()),
    };
    let credentials: NotionUserCredentials = serde_json::from_value(credentials)
        // The library's errors name members, and show no values.
        .map_err(|error| error.to_string())?;
    ExplicitCredentials::new(&credentials.access_token)
        .map_err(|error| format!("its access token can't be sent: {error}"))?;
    Ok((subject, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_subject_and_credentials() {
        let text =
            r#"{"subject":"ann","credentials":{"access_token":"ntn_1","token_type":"Bearer"}}"#;
        let (subject, credentials) = read(text).expect(text);
        assert_eq!(subject.as_str(), "ann");
        assert_eq!(credentials.access_token.expose(), "ntn_1");
    }

    #[test]
    fn a_line_that_is_refused_is_not_shown() {
        for (text, words) in [
            ("hunter2", "not JSON, from column 1"),
            (r#"["hunter2"]"#, "not a JSON object"),
            (r#"{"access_token":"hunter2"}"#, "no member `subject`"),
            (
                r#"{"subject":"","access_token":"hunter2"}"#,
                "no member `subject`",
            ),
            (
                r#"{"subject":7,"access_token":"hunter2"}"#,
                "no member `subject`",
            ),
            (
                r#"{"subject":"ann","credentials":"hunter2"}"#,
                "expected a JSON object",
            ),
            (
                r#"{"subject":"ann","credentials":{},"token":"hunter2"}"#,
                "other members",
            ),
            (
                r#"{"subject":"ann","access_token":"hunter2"}"#,
                "no member `credentials`",
            ),
            (
                r#"{"subject":"ann","credentials":{"access_token":["hunter2"]}}"#,
                "access_token",
            ),
            (
                r#"{"subject":"ann","credentials":{"refresh_token":"hunter2"}}"#,
                "access_token",
            ),
            (
                r#"{"subject":"ann","credentials":{"access_token":"hunter 2"}}"#,
                "can't be sent",
            ),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("hunter"), "{error}");
        }
    }
}
