//! Redis's connection URL.

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};

use super::failure::{NAME, failed};
use crate::store::{
    StoreError,
    connection_url::{Grammar, Parameter, Part, is_loopback},
    tls,
};

const TCP: Grammar = Grammar {
    store: NAME,
    form: "redis://user:password@host:port/database, rediss://… for TLS, or unix:///path",
    parameters: &[PLAINTEXT],
};

const SOCKET: Grammar = Grammar {
    parameters: &[
        Parameter {
            name: "db",
            is_valid: |value| value.parse::<u32>().is_ok(),
            valid: "the number of a database",
            ..Parameter::TEXT
        },
        Parameter {
            name: "user",
            ..Parameter::TEXT
        },
        Parameter {
            name: "pass",
            part: Some(Part::Password),
            ..Parameter::TEXT
        },
    ],
    ..TCP
};

/// A parameter of this crate, with libpq's name, so that both stores have the same one.
const PLAINTEXT: Parameter = Parameter {
    name: "sslmode",
    is_valid: |value| value == "disable",
    valid: "`disable`, for plain text. For TLS, the URL begins with rediss://",
    ..Parameter::TEXT
};

/// Returns the client for the URL. With TLS, it trusts the process's root certificates.
pub(super) async fn client(url: &str) -> Result<Client, StoreError> {
    let info = check(url)?;
    let client = match info.addr() {
        ConnectionAddr::TcpTls { .. } => {
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: Some(tls::roots(NAME).await?),
            };
            Client::build_with_tls(info, certificates)
        }
        _ => Client::open(info),
    };
    client.map_err(failed)
}

/// Parses the URL. Plain text to another machine is allowed only if the URL requests it.
fn check(text: &str) -> Result<ConnectionInfo, StoreError> {
    if text.trim_end().ends_with("#insecure") {
        return Err(TCP.error(
            "`#insecure` in the URL turns off the check of the server's certificate: remove it. To trust a \
             private authority, set SSL_CERT_FILE to its certificate in PEM",
        ));
    }
    let scheme = text.split(':').next().unwrap_or_default();
    let grammar = match scheme.trim().to_ascii_lowercase().as_str() {
        "redis" | "rediss" | "valkey" | "valkeys" => &TCP,
        "unix" | "redis+unix" | "valkey+unix" => &SOCKET,
        _ => return Err(TCP.invalid("its scheme is another")),
    };
    let mut url = grammar.parse(text)?;
    let is_plaintext_allowed = url.parameter("sslmode").is_some();
    url.remove("sslmode");
    let info = url.into_url().into_connection_info();
    // The cause may contain a part of the URL.
    let info = info.map_err(|_| {
        grammar.invalid("its host or the number of the database is missing or wrong")
    })?;
    match info.addr() {
        ConnectionAddr::Tcp(host, _) if !is_plaintext_allowed && !is_loopback(host) => Err(TCP.error(
            "a redis:// URL to another machine is plain text, with the password and all credentials: write \
             rediss:// for TLS, or, in a network that you trust, add `?sslmode=disable` to the URL",
        )),
        ConnectionAddr::TcpTls { .. } if is_plaintext_allowed => Err(TCP.error(
            "rediss:// in the URL is TLS, and `sslmode=disable` is plain text: remove one of them",
        )),
        _ => Ok(info),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_plaintext_needs_sslmode_disable() {
        for text in [
            "redis://127.0.0.1",
            "redis://ann:pw@localhost:6380/3",
            "valkey://[::1]/",
            "redis://db?sslmode=disable",
            "redis://ann:pw@10.0.0.1:6380/3?sslmode=disable",
            "rediss://db",
            "REDISS://:pw@10.0.0.1:6380/3",
            "valkeys://db/",
            "unix:///tmp/redis.sock?db=3&user=ann&pass=pw",
            "redis+unix:///tmp/a%40b",
        ] {
            check(text).expect(text);
        }
        for (text, words) in [
            ("redis://ann:hunter2@db", "add `?sslmode=disable`"),
            ("valkey://10.0.0.1", "add `?sslmode=disable`"),
            ("redis://127.1", "add `?sslmode=disable`"),
            (
                "redis://db?sslmode=hunter2",
                "`sslmode` in the URL must be `disable`",
            ),
            ("rediss://db?sslmode=disable", "remove one of them"),
            (
                "rediss://ann:hunter2@db/#insecure",
                "`#insecure` in the URL turns off",
            ),
            (
                "redis://localhost#insecure",
                "`#insecure` in the URL turns off",
            ),
            ("rediss://db/#Insecure", "it has a fragment"),
            (
                "rediss://db?ssl_cert_reqs=hunter2",
                "unknown parameter `ssl_cert_reqs`",
            ),
            // The protocol is always RESP2.
            (
                "redis://localhost?protocol=3",
                "unknown parameter `protocol`",
            ),
            (
                "redis://db?sslmode=disable&sslmode=disable",
                "`sslmode` in the URL is set twice",
            ),
            ("redis://localhost?db=3", "unknown parameter `db`"),
            (
                "redis://localhost?password=hunter2",
                "unknown parameter `password`",
            ),
            ("redis://localhost/hunter2", "number of the database"),
            ("redis://:12/hunter2@localhost", "empty host"),
            ("redis://ann:12/hunter2@localhost", "`@` is in its path"),
            ("redis://ann:hunter2%ff@localhost", "number of the database"),
            ("redis:hunter2", "`//` is missing"),
            ("unix:/hunter2", "`//` is missing"),
            (
                "unix:///tmp/s?pass=hunter&hunter=x",
                "parameter 2 of the URL is unknown",
            ),
            (
                "unix:///tmp/s?db=hunter2",
                "`db` in the URL must be the number",
            ),
            (
                "unix:///tmp/s?sslmode=disable",
                "unknown parameter `sslmode`",
            ),
            ("unix://hunter2/s", "number of the database"),
            ("http://ann:hunter2@db", "its scheme is another"),
            ("hunter2", "its scheme is another"),
            ("", "its scheme is another"),
        ] {
            let error = check(text).expect_err(text);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(words), "{text}: {shown}");
            assert!(!shown.contains("hunter"), "{text}: {shown}");
            assert!(std::error::Error::source(&error).is_none(), "{text}");
        }
    }
}
