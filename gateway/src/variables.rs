//! Environment variables: their names are checked, and what tools leave around a value is removed.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use notion_auth::BoxError;

/// The settings that only the gateway has. Another name with their prefix is an error, because it is a misspelt one.
const OWN: [&str; 11] = [
    "GATEWAY_ACCEPT_SETTINGS",
    "GATEWAY_ACCESS_LOG",
    "GATEWAY_KEYS",
    "GATEWAY_KEYS_FILE",
    "GATEWAY_LISTEN",
    "GATEWAY_LOG",
    "GATEWAY_MAX_REQUESTS",
    "GATEWAY_MAX_REQUESTS_PER_SUBJECT",
    "GATEWAY_METRICS_LISTEN",
    "GATEWAY_PASS_HEADERS",
    "GATEWAY_PUBLIC_URL",
];

/// The settings that can be in a file, which the variable with `_FILE` at its end names.
pub(crate) const IN_FILES: [&str; 8] = [
    "ALL_PROXY",
    "DATABASE_URL",
    "HTTPS_PROXY",
    "NOTION_AUTH_KEYS",
    "NOTION_CLIENT_ID",
    "NOTION_CLIENT_SECRET",
    "NOTION_INTEGRATION_TOKEN",
    "NOTION_TOKEN",
];

/// Settings of one value, which can't be in a file.
const NOT_IN_FILES: [&str; 9] = [
    "NOTION_API_URL",
    "NOTION_AUTHORIZATION_URL",
    "NOTION_REDIRECT_URI",
    "NOTION_TOKEN_URL",
    "NOTION_VERSION",
    "NO_PROXY",
    "PGPASSWORD",
    "PORT",
    "SSL_CERT_DIR",
];

/// Settings that are lists, so that they may have several lines.
const OF_SEVERAL_LINES: [&str; 2] = ["GATEWAY_KEYS", "NOTION_AUTH_KEYS"];

/// Refuses names that look like the gateway's and are not.
pub(crate) fn check_names() -> Result<(), BoxError> {
    let in_kubernetes = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let mut names: Vec<(String, OsString)> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect();
    names.sort();
    for (name, value) in names {
        if in_kubernetes && is_service_link(&name, &value.to_string_lossy()) {
            continue;
        }
        if has_prefix(&name, "GATEWAY_") && !OWN.contains(&&*name) {
            return Err(unknown(&name, &OWN));
        }
        if let Some(meant) = MISSPELT.iter().find(|it| is_misspelt(&name, it)) {
            return Err(format!("{name} is not a setting: did you mean {meant}?").into());
        }
        let Some(setting) = name.strip_suffix("_FILE") else {
            continue;
        };
        let is_of_the_gateway = NOT_IN_FILES.contains(&setting)
            || ["NOTION_", "DATABASE_"]
                .iter()
                .any(|it| has_prefix(&name, it));
        if is_of_the_gateway && !IN_FILES.contains(&setting) {
            let known = IN_FILES.map(|name| format!("{name}_FILE"));
            return Err(unknown(&name, &known.each_ref().map(String::as_str)));
        }
    }
    Ok(())
}

/// The variables of libpq that complete `DATABASE_URL`. They are read elsewhere, and as they are.
const OF_LIBPQ: [&str; 9] = [
    "PGDATABASE",
    "PGHOST",
    "PGOPTIONS",
    "PGPASSWORD",
    "PGPORT",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGUSER",
    "PGHOSTADDR",
];

/// Refuses a variable of libpq that has blanks or quotes around its value, or a reference in it.
pub(crate) fn check_libpq() -> Result<(), BoxError> {
    for name in OF_LIBPQ {
        let Some(text) = trimmed(name)? else { continue };
        check(name, &text)?;
        if env::var(name).is_ok_and(|it| it != text) {
            return Err(format!(
                "{name}: it has a quote, a blank or a line break around it: remove it"
            )
            .into());
        }
    }
    Ok(())
}

/// Kubernetes sets such variables for each service of the namespace: a service `gateway` has `GATEWAY_SERVICE_HOST`.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_url = value.contains("://");
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
        || (name.ends_with("_PORT") && is_url)
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

/// Settings that must not be left out by one wrong character, because another value would take their place. Other names
/// with their prefixes may be another program's.
const MISSPELT: [&str; 5] = [
    "DATABASE_URL",
    "NOTION_AUTH_KEYS",
    "NOTION_CLIENT_ID",
    "NOTION_CLIENT_SECRET",
    "NOTION_REDIRECT_URI",
];

/// Whether a name is one character away from a setting that is not set.
fn is_misspelt(name: &str, setting: &str) -> bool {
    strsim::damerau_levenshtein(&name.to_ascii_uppercase(), setting) <= 1
        && name != setting
        && env::var_os(setting).is_none()
        && env::var_os(format!("{setting}_FILE")).is_none()
}

/// Returns the setting that may be meant: one with all words of the name, or with a few other characters.
fn similar<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper
        .split('_')
        .map(|word| match word {
            "ADDR" | "ADDRESS" | "BIND" | "HOST" | "PORT" => "LISTEN",
            word => word,
        })
        .collect();
    let has_all = |known: &&&str| {
        words
            .iter()
            .all(|it| known.split('_').any(|word| word == *it))
    };
    let by_words = known.iter().filter(has_all).min_by_key(|it| it.len());
    let by_characters = || {
        let distances = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(known, &upper), known));
        let (_, nearest) = distances.min().filter(|(distance, _)| *distance <= 2)?;
        Some(nearest)
    };
    by_words.or_else(by_characters).copied()
}

fn unknown(name: &str, known: &[&str]) -> BoxError {
    match similar(name, known) {
        Some(similar) => format!("{name} is not a setting: did you mean {similar}?"),
        None => format!(
            "{name} is not a setting: remove it. Known are {}",
            known.join(", ")
        ),
    }
    .into()
}

/// Where a value was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Variable,
    File(PathBuf),
}

/// The value of a setting. An empty one counts as not set.
pub(crate) fn text(name: &str) -> Result<Option<String>, BoxError> {
    Ok(found(name)?.map(|(text, _)| text))
}

/// The value of a setting, and where it is.
pub(crate) fn found(name: &str) -> Result<Option<(String, Source)>, BoxError> {
    let own = trimmed(name)?;
    let of_file = match IN_FILES.contains(&name) {
        true => trimmed(&format!("{name}_FILE"))?,
        false => None,
    };
    match (own, of_file) {
        (Some(_), Some(_)) => {
            Err(format!("{name} and {name}_FILE are both set: remove one of them").into())
        }
        (Some(text), None) => {
            check(name, &text)?;
            Ok(Some((text, Source::Variable)))
        }
        (None, Some(path)) => {
            let named = format!("{name}_FILE");
            check(&named, &path)?;
            let text = read(&named, Path::new(&path))?;
            Ok(Some((text, Source::File(path.into()))))
        }
        (None, None) => Ok(None),
    }
}

fn read(name: &str, path: &Path) -> Result<String, BoxError> {
    let shown = path.display();
    let text = fs::read(path).map_err(|error| format!("{name}: {shown}: {error}"))?;
    let text = String::from_utf8(text).map_err(|_| format!("{name}: {shown} is not UTF-8"))?;
    let text = trim(&text).to_owned();
    if text.is_empty() {
        return Err(format!("{name}: {shown} is empty").into());
    }
    let setting = name.trim_end_matches("_FILE");
    match problem(setting, &text) {
        None => Ok(text),
        Some(problem) => Err(format!("{name}: {shown}: {problem}").into()),
    }
}

/// The value as it is set, without blanks and quotes around it.
pub(crate) fn trimmed(name: &str) -> Result<Option<String>, BoxError> {
    match env::var(name) {
        Ok(text) => Ok(Some(trim(&text).to_owned()).filter(|text| !text.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{name} is not UTF-8").into()),
    }
}

/// Removes blanks, and the quotes that `docker run --env-file` and systemd's shells keep.
fn trim(text: &str) -> &str {
    const PAIRS: [(char, char); 4] = [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’')];

    let text = text.trim_matches(is_blank);
    let inner = PAIRS
        .iter()
        .find_map(|&(open, close)| text.strip_prefix(open)?.strip_suffix(close));
    inner.map_or(text, |inner| inner.trim_matches(is_blank))
}

/// Whether the character is a blank, or one that no editor shows: a byte order mark, or a character of no width.
fn is_blank(it: char) -> bool {
    it.is_whitespace()
        || it.is_control()
        || matches!(it, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
}

/// Refuses a value that can't be meant, and shows nothing of it.
pub(crate) fn check(name: &str, text: &str) -> Result<(), BoxError> {
    match problem(name, text) {
        None => Ok(()),
        Some(problem) => Err(format!("{name}: {problem}").into()),
    }
}

fn problem(name: &str, text: &str) -> Option<&'static str> {
    let quotes = ['"', '\'', '“', '”'];
    let is_list = OF_SEVERAL_LINES.contains(&name);
    let problem = if text.contains("[YOUR-") {
        "it has a placeholder such as `[YOUR-PASSWORD]`: write the value itself"
    } else if ["${", "$(", "{{"].iter().any(|it| text.contains(it)) {
        "it has a reference such as `${NAME}` that was not replaced: write the value itself"
    } else if is_reference(text) {
        "it is the name of a variable that was not replaced: write the value itself"
    } else if matches!(text, "…" | "...") || (text.starts_with('<') && text.ends_with('>')) {
        "it is a placeholder: write the value itself"
    } else if text.starts_with(quotes) || text.ends_with(quotes) {
        "it has a quote at one end only: remove it"
    } else if text
        .chars()
        .any(|it| is_hidden(it) && !(is_list && it.is_whitespace()))
    {
        "it has a line break or a character that can't be seen: write it in one line"
    } else {
        return None;
    };
    Some(problem)
}

fn is_hidden(it: char) -> bool {
    it != ' ' && is_blank(it)
}

/// Whether the whole text is `$NAME` or `%NAME%`.
fn is_reference(text: &str) -> bool {
    let name = match text.strip_prefix('$') {
        Some(name) => Some(name),
        None => text.strip_prefix('%').and_then(|it| it.strip_suffix('%')),
    };
    name.is_some_and(|name| {
        !name.is_empty()
            && name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_leave_around_a_value_is_removed() {
        for text in [
            "value",
            " value ",
            "value\r",
            "value\r\n",
            "\u{feff}value",
            "\"value\"",
            "'value'",
            "\" value \"",
            "\"value\"\r\n",
            "\u{200b}value\u{a0}",
            "“value”",
            "\tvalue\0",
        ] {
            assert_eq!(trim(text), "value", "{text:?}");
        }
    }

    #[test]
    fn a_name_that_is_no_setting_is_answered_with_the_one_that_is_meant() {
        for (name, expected) in [
            ("GATEWAY_KEY", Some("GATEWAY_KEYS")),
            ("gateway_listen", Some("GATEWAY_LISTEN")),
            ("GATEWAY_LSITEN", Some("GATEWAY_LISTEN")),
            ("GATEWAY_PORT", Some("GATEWAY_LISTEN")),
            ("GATEWAY_BIND_ADDR", Some("GATEWAY_LISTEN")),
            ("GATEWAY_METRICS_PORT", Some("GATEWAY_METRICS_LISTEN")),
            ("GATEWAY_HEADERS", Some("GATEWAY_PASS_HEADERS")),
            ("GATEWAY_URL", Some("GATEWAY_PUBLIC_URL")),
            ("GATEWAY_LOG_LEVEL", None),
            ("GATEWAY_TIMEOUT", None),
            ("GATEWAY_PUBLIC_URL_FILE", None),
        ] {
            assert_eq!(similar(name, &OWN), expected, "{name}");
        }
        let files = [
            "DATABASE_URL_FILE",
            "NOTION_AUTH_KEYS_FILE",
            "NOTION_TOKEN_FILE",
        ];
        for (name, expected) in [
            ("NOTION_KEYS_FILE", Some("NOTION_AUTH_KEYS_FILE")),
            ("DATABASE_FILE", Some("DATABASE_URL_FILE")),
            ("NOTION_API_URL_FILE", None),
        ] {
            assert_eq!(similar(name, &files), expected, "{name}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_meant_is_refused_and_not_shown() {
        for text in [
            "sqlite:${HUNTER}",
            "$(cat hunter)",
            "{{ hunter }}",
            "$HUNTER",
            "%HUNTER%",
            "\"hunter",
            "hunter'",
            "<hunter>",
            "postgres://u:[YOUR-HUNTER]@h/d",
            "…",
            "hunter\r\nhunter",
            "hun\u{feff}ter",
            "hun\u{0}ter",
        ] {
            let error = check("DATABASE_URL", text).expect_err(text).to_string();
            assert!(error.starts_with("DATABASE_URL: it "), "{error}");
            assert!(!error.to_lowercase().contains("hunter"), "{error}");
        }
        for text in ["pa$$word", "a b", "$", "100%", "postgres://u:p%24@h/d"] {
            assert!(check("DATABASE_URL", text).is_ok(), "{text}");
        }
        assert!(check("GATEWAY_KEYS", "a=b,\n c=d").is_ok());
    }
}
