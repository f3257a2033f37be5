//! `DATABASE_URL`: which store it names, and the forms of other programs' URLs.

use std::path::{Path, PathBuf};

use notion_auth::BoxError;

use crate::variables;

const DEFAULT: &str = "sqlite:gateway.db";

/// The store that credentials are kept in.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Database {
    Sqlite(PathBuf),
    /// A URL as the library takes it.
    Postgres(String),
    Redis(String),
}

/// Parameters for other programs' pools and connections, which change nothing here.
const WITHOUT_EFFECT: [&str; 14] = [
    "client_encoding",
    "connect_timeout",
    "connection_limit",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "pool_timeout",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
    "uselibpqcompat",
];

impl Database {
    pub(crate) fn from_env() -> Result<Self, BoxError> {
        let text = variables::text("DATABASE_URL")?;
        let text = text.as_deref().unwrap_or(DEFAULT);
        parse(text).map_err(|error| format!("DATABASE_URL: {error}").into())
    }

    /// The kind of store, and where it is, without a user or a password.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(url) | Self::Redis(url) => {
                let scheme = url.split(':').next().unwrap_or_default();
                match url::Url::parse(url) {
                    Ok(url) => format!("{scheme}://{}/…", url.host_str().unwrap_or("a socket")),
                    Err(_) => format!("{scheme}://…"),
                }
            }
        }
    }
}

fn parse(text: &str) -> Result<Database, String> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    match scheme {
        Some("sqlite" | "sqlite3") => sqlite(text),
        Some("postgres" | "postgresql") => postgres(text).map(Database::Postgres),
        // SQLAlchemy names its driver.
        Some(scheme) if is_with_driver(scheme) => {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            postgres(&format!("postgresql://{rest}")).map(Database::Postgres)
        }
        Some("redis" | "rediss" | "valkey" | "valkeys" | "unix" | "redis+unix" | "valkey+unix") => {
            one_host(text, "redis://HOST:PORT. Sentinels and clusters are not supported")?;
            Ok(Database::Redis(text.to_owned()))
        }
        Some("jdbc") => Err(
            "it is a URL of JDBC: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE".to_owned(),
        ),
        Some("file") => Err("it is a URL of a file: write sqlite:PATH".to_owned()),
        _ if text.split_whitespace().any(|word| word.starts_with("host=")) => Err(
            "it is a list of `name=value`: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE".to_owned(),
        ),
        // It may hold a password, so it is not shown.
        _ => Err(
            "it must begin with sqlite:, postgres:// or redis:// (rediss:// for TLS; valkey:// and valkeys:// \
             are the same)"
                .to_owned(),
        ),
    }
}

fn is_with_driver(scheme: &str) -> bool {
    let begin = scheme.split_once('+').map(|(begin, _)| begin);
    matches!(begin, Some("postgres" | "postgresql"))
}

fn sqlite(text: &str) -> Result<Database, String> {
    const FORM: &str = "after sqlite: comes the path of a file and nothing else";

    let path = text.split_once(':').map_or("", |(_, path)| path);
    let path = path.strip_prefix("//").unwrap_or(path);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    // What these ask for is so in any case.
    let is_known = |it: &str| it.is_empty() || it == "mode=rwc" || it == "mode=rw";
    if !query.split('&').all(is_known) {
        return Err(format!("{FORM}, but for `?mode=rwc`"));
    }
    if path.starts_with('~') || path.contains(['$', '%']) {
        return Err(
            "the path of the file is taken as it is: write it without `~`, `$` and `%`".to_owned(),
        );
    }
    if path.is_empty() || path.contains(':') || Path::new(path).is_dir() {
        return Err(FORM.to_owned());
    }
    Ok(Database::Sqlite(PathBuf::from(path)))
}

/// Writes what other programs' URLs say in the way of the library.
fn postgres(text: &str) -> Result<String, String> {
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    if base.contains('@') || !query.contains('@') {
        one_host(base, "the one to write to, or a proxy that knows it")?;
    }
    if query
        .split('&')
        .any(|it| it.starts_with("host=") && it.contains([',']))
    {
        return Err("`host` in the URL names several hosts: name the one to write to".to_owned());
    }
    let is_socket = query.split('&').any(|it| {
        it.strip_prefix("host=").is_some_and(|host| {
            host.starts_with('/') || host.starts_with("%2F") || host.starts_with("%2f")
        })
    });
    // A URL needs a host behind the user, which the socket then replaces.
    let base = match is_socket && base.contains("@/") {
        true => base.replacen("@/", "@localhost/", 1),
        false => base.to_owned(),
    };
    let (mut kept, mut binds_channel, mut mode) = (Vec::new(), false, None);
    let mut is_tls = false;
    for parameter in query.split('&').filter(|it| !it.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match (name, value) {
            ("sslmode" | "ssl-mode", _) => mode = Some(value),
            // Without `sslmode`, a connection to another machine is verified TLS.
            ("ssl", "true" | "1") => is_tls = true,
            ("ssl", "false" | "0") => {
                return Err(
                    "`ssl=false` in the URL: for plain text, write `sslmode=disable`".to_owned(),
                );
            }
            ("ssl", _) => {
                return Err(
                    "`ssl` in the URL: write `sslmode=verify-full`, or `sslmode=disable`"
                        .to_owned(),
                );
            }
            ("channel_binding", "disable" | "prefer") => {}
            ("channel_binding", "require") => binds_channel = true,
            ("channel_binding", _) => {
                return Err(
                    "`channel_binding` in the URL must be disable, prefer or require".to_owned(),
                );
            }
            ("target_session_attrs", "any" | "read-write" | "primary") => {}
            ("target_session_attrs", _) => {
                return Err(
                    "`target_session_attrs` in the URL: the gateway writes, so remove it"
                        .to_owned(),
                );
            }
            // The library uses no prepared statements that outlive a transaction.
            ("pgbouncer", _) => kept.push("statement-cache-capacity=0".to_owned()),
            ("schema" | "currentSchema" | "search_path", _) => {
                return Err(
                    "`schema`, `currentSchema` or `search_path` in the URL: write \
                     `options=-csearch_path%3DSCHEMA`"
                        .to_owned(),
                );
            }
            (name, _) if WITHOUT_EFFECT.contains(&name) => {}
            _ => kept.push(parameter.to_owned()),
        }
    }
    if is_tls && matches!(mode, Some("disable" | "allow" | "prefer")) {
        return Err("`ssl` and `sslmode` in the URL contradict each other: remove one".to_owned());
    }
    // What the binding is for, that no other server is in between, a verified certificate shows as well.
    let mode = match (binds_channel, mode) {
        (true, Some("disable" | "allow" | "prefer")) => {
            return Err(
                "`channel_binding=require` in the URL needs TLS: write `sslmode=verify-full`"
                    .to_owned(),
            );
        }
        (true, _) => Some("verify-full"),
        (false, mode) => mode,
    };
    if let Some(mode) = mode {
        kept.push(format!("sslmode={mode}"));
    }
    match kept.is_empty() {
        true => Ok(base),
        false => Ok(format!("{base}?{}", kept.join("&"))),
    }
}

/// Refuses a list of hosts.
fn one_host(text: &str, which: &str) -> Result<(), String> {
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    match hosts.contains(',') {
        true => Err(format!("it names several hosts: name one, {which}")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_programs_are_understood() {
        for (text, expected) in [
            ("postgres://u:p@h/d", "postgres://u:p@h/d"),
            ("postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d"),
            ("postgres://u:p@h/d?ssl=true", "postgres://u:p@h/d"),
            (
                "postgres://u:p@h/d?sslmode=require",
                "postgres://u:p@h/d?sslmode=require",
            ),
            (
                "postgres://u:p@h/d?sslmode=require&channel_binding=require",
                "postgres://u:p@h/d?sslmode=verify-full",
            ),
            (
                "postgres://u:p@h/d?channel_binding=prefer&connect_timeout=10",
                "postgres://u:p@h/d",
            ),
            (
                "postgres://u:p@h/d?sslrootcert=system&sslmode=verify-full",
                "postgres://u:p@h/d?sslrootcert=system&sslmode=verify-full",
            ),
            (
                "postgres://u@/d?host=/run/postgresql",
                "postgres://u@localhost/d?host=/run/postgresql",
            ),
            ("postgres:///d?host=%2Frun", "postgres:///d?host=%2Frun"),
            (
                "postgres://u:p@h/d?pgbouncer=true",
                "postgres://u:p@h/d?statement-cache-capacity=0",
            ),
            (
                "postgres://u:p@h/d?target_session_attrs=read-write",
                "postgres://u:p@h/d",
            ),
            ("postgres://u:p,w@h/d", "postgres://u:p,w@h/d"),
        ] {
            let expected = Database::Postgres(expected.to_owned());
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
        for text in [
            "redis://h",
            "rediss://u:p@h:6380/1",
            "valkey://h",
            "valkeys://h",
        ] {
            assert_eq!(parse(text), Ok(Database::Redis(text.to_owned())));
        }
        for text in ["sqlite:a.db", "sqlite://a.db", "sqlite://a.db?mode=rwc"] {
            assert_eq!(parse(text), Ok(Database::Sqlite("a.db".into())), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused_with_the_right_one_and_without_the_password() {
        for (text, words) in [
            (
                "jdbc:postgresql://h/d?password=hunter2",
                "write postgresql://",
            ),
            ("host=h password=hunter2 dbname=d", "write postgresql://"),
            ("postgres://u:hunter2@a,b/d", "several hosts"),
            ("postgres://u:hunter2@a:1,b:2/d", "several hosts"),
            ("redis://u:hunter2@a:1,b:2", "several hosts"),
            ("postgres://u:hunter2@h/d?ssl=false", "sslmode=disable"),
            (
                "postgres://u:hunter2@h/d?ssl=no-verify",
                "sslmode=verify-full",
            ),
            (
                "postgres://u:hunter2@h/d?sslmode=disable&channel_binding=require",
                "needs TLS",
            ),
            (
                "postgres://u:hunter2@h/d?target_session_attrs=standby",
                "remove it",
            ),
            ("postgres://u:hunter2@h/d?schema=hunter2", "search_path"),
            ("mysql://u:hunter2@h/d", "must begin with"),
            ("redis+sentinel://u:hunter2@h/d", "must begin with"),
            ("gateway.db", "must begin with"),
            ("file:gateway.db", "write sqlite:PATH"),
            ("postgres://u:hunter2@/d?host=a,b", "several hosts"),
            (
                "postgres://u:hunter2@h/d?ssl=true&sslmode=disable",
                "contradict",
            ),
            (
                "postgres://u:hunter2@h/d?search_path=hunter2",
                "options=-csearch_path",
            ),
            ("sqlite:~/hunter.db", "as it is"),
            ("sqlite:$HOME/hunter.db", "as it is"),
            ("sqlite:a%20hunter.db", "as it is"),
            ("sqlite:", "the path of a file"),
            ("sqlite::memory:", "the path of a file"),
            ("sqlite:a.db?key=hunter2", "the path of a file"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn what_is_shown_of_a_database_has_no_user_and_no_password() {
        for (text, expected) in [
            ("sqlite:a.db", "sqlite:a.db"),
            ("postgres://u:hunter2@h:1/d", "postgres://h/…"),
            ("redis://:hunter2@h:1/0", "redis://h/…"),
            ("redis://u:hunter/2@h:1/0", "redis://…"),
        ] {
            assert_eq!(parse(text).expect(text).shown(), expected);
        }
    }
}
