//! PostgreSQL's connection URL, and the environment variables that complete it.
//!
//! sqlx reads the `PG…` variables for values that are missing in a URL. Both are checked here, and decide
//! together whether the connection uses TLS.

use std::{env, fs, net::IpAddr};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::failure::NAME;
use crate::store::{
    StoreError,
    connection_url::{ConnectionUrl, Grammar, Parameter, Part, is_loopback},
};

const GRAMMAR: Grammar = Grammar {
    store: NAME,
    form: "postgres://user:password@host:port/database?sslmode=verify-full",
    parameters: &PARAMETERS,
};

/// The parameters that sqlx 0.9 supports.
const PARAMETERS: [Parameter; 13] = [
    Parameter {
        name: "sslmode",
        aliases: &["ssl-mode"],
        is_valid: |value| value.parse::<PgSslMode>().is_ok(),
        valid: MODES,
        ..Parameter::TEXT
    },
    Parameter {
        name: "sslrootcert",
        aliases: &["ssl-root-cert", "ssl-ca"],
        ..Parameter::TEXT
    },
    Parameter {
        name: "sslcert",
        aliases: &["ssl-cert"],
        ..Parameter::TEXT
    },
    Parameter {
        name: "sslkey",
        aliases: &["ssl-key"],
        ..Parameter::TEXT
    },
    Parameter {
        name: "host",
        part: Some(Part::Host),
        ..Parameter::TEXT
    },
    Parameter {
        name: "hostaddr",
        part: Some(Part::Host),
        is_valid: |value| value.parse::<IpAddr>().is_ok(),
        valid: "an IP address",
        ..Parameter::TEXT
    },
    Parameter {
        name: "port",
        part: Some(Part::Port),
        is_valid: |value| value.parse::<u16>().is_ok(),
        valid: "a number up to 65535",
        ..Parameter::TEXT
    },
    Parameter {
        name: "user",
        part: Some(Part::User),
        ..Parameter::TEXT
    },
    Parameter {
        name: "password",
        part: Some(Part::Password),
        ..Parameter::TEXT
    },
    Parameter {
        name: "dbname",
        part: Some(Part::Path),
        ..Parameter::TEXT
    },
    Parameter {
        name: "application_name",
        ..Parameter::TEXT
    },
    Parameter {
        name: "options",
        aliases: &["options[]"],
        is_repeatable: true,
        ..Parameter::TEXT
    },
    Parameter {
        name: "statement-cache-capacity",
        is_valid: |value| value.parse::<usize>().is_ok(),
        valid: "a number",
        ..Parameter::TEXT
    },
];

const MODES: &str = "one of `disable`, `require`, `verify-ca` and `verify-full`, or, if the server is on this \
                     machine, `allow` or `prefer`";

/// Validated connection options. A connection to another machine is plain text only if `sslmode=disable` is
/// set.
pub(super) struct Checked {
    pub(super) options: PgConnectOptions,
    /// Whether the server's certificate is verified with the process's root certificates.
    pub(super) needs_roots: bool,
}

pub(super) fn check(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Checked, StoreError> {
    let mut url = GRAMMAR.parse(text)?;
    let tls = Tls::of(&url, &variable)?;
    if tls.root == Some(Root::Platform) {
        url.remove("sslrootcert");
    }
    let has_password = url.parameter("password").is_some() || variable("PGPASSWORD").is_some();
    let mut url = url.into_url();
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(GRAMMAR.invalid("its scheme is another"));
    }
    // sqlx searches ~/.pgpass for a missing password, and logs lines that it cannot parse. For the server,
    // an empty password is the same as none.
    if url.password().is_none() && !has_password {
        url.query_pairs_mut().append_pair("password", "");
    }
    let options = PgConnectOptions::from_url(&url)
        .map_err(|_| GRAMMAR.invalid("it is not UTF-8 when decoded"))?;
    let host = options.get_host().to_owned();
    let is_local = options.get_socket().is_some() || host.starts_with('/') || is_loopback(&host);
    let mode = tls.mode(is_local)?;
    // sqlx would resolve an IPv6 address in brackets as a name.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(Checked {
        options: options.host(host).ssl_mode(mode),
        needs_roots: matches!(mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull)
            && tls.root != Some(Root::Own),
    })
}

/// Reads a variable of the process's environment. An empty variable counts as unset.
pub(super) fn environment(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The TLS settings of the URL and the environment.
struct Tls {
    mode: Option<PgSslMode>,
    root: Option<Root>,
}

#[derive(PartialEq, Eq)]
enum Root {
    /// Certificates in the file of `sslrootcert` or `PGSSLROOTCERT`.
    Own,
    /// libpq's keyword `system`.
    Platform,
}

impl Tls {
    fn of(
        url: &ConnectionUrl,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StoreError> {
        let setting = |parameter: &str, name: &'static str| match url.parameter(parameter) {
            Some(value) => Some((format!("`{parameter}` in the URL"), value.to_owned())),
            None => variable(name).map(|value| (name.to_owned(), value)),
        };
        let mode = match setting("sslmode", "PGSSLMODE") {
            // sqlx would ignore an invalid variable.
            Some((name, value)) => Some(
                value
                    .parse()
                    .map_err(|_| GRAMMAR.error(format!("{name} must be {MODES}")))?,
            ),
            // A trusted authority implies TLS.
            None => url.parameter("sslrootcert").map(|_| PgSslMode::VerifyFull),
        };
        let root = match setting("sslrootcert", "PGSSLROOTCERT") {
            Some((_, value)) if value == "system" => Some(Root::Platform),
            Some((name, value)) => {
                let certificates = read_pem(&name, &value)?;
                if !CertificateDer::pem_slice_iter(&certificates).any(|it| it.is_ok()) {
                    let message = format!("{name} names no certificate in PEM");
                    return Err(GRAMMAR.error(message));
                }
                Some(Root::Own)
            }
            None => None,
        };
        let certificate = setting("sslcert", "PGSSLCERT");
        let key = setting("sslkey", "PGSSLKEY");
        if certificate.is_some() != key.is_some() {
            return Err(GRAMMAR.error("`sslcert` and `sslkey` belong together: set both or none"));
        }
        for (name, value) in certificate.into_iter().chain(key) {
            read_pem(&name, &value)?;
        }
        Ok(Self { mode, root })
    }

    /// Returns the mode for a server on this machine or on another one.
    fn mode(&self, is_local: bool) -> Result<PgSslMode, StoreError> {
        use PgSslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};

        let has_own = self.root == Some(Root::Own);
        match self.mode {
            None if is_local => Ok(Prefer),
            None | Some(VerifyFull) => Ok(VerifyFull),
            Some(Require | VerifyCa) if self.root == Some(Root::Platform) => Err(GRAMMAR.error(
                "`sslrootcert=system` needs `sslmode=verify-full`: an authority of the system vouches for \
                 every host",
            )),
            Some(VerifyCa) if !has_own => Err(GRAMMAR.error(
                "`sslmode=verify-ca` needs `sslrootcert`: without it, the certificate of every host would \
                 be good. Add it, or write `sslmode=verify-full`",
            )),
            // The same as libpq does. sqlx would accept any certificate.
            Some(Require) if has_own => Ok(VerifyCa),
            Some(Allow | Prefer) if !is_local => Err(GRAMMAR.error(
                "by `sslmode`, in the URL or PGSSLMODE, the connection to another machine may be plain \
                 text: write `sslmode=verify-full`, or, in a network that you trust, `sslmode=disable`",
            )),
            Some(mode @ (Allow | Disable | Prefer | Require | VerifyCa)) => Ok(mode),
        }
    }
}

/// Reads a file of certificates or a key. sqlx reads it again for each connection, and its error names
/// neither the file nor the parameter.
fn read_pem(name: &str, value: &str) -> Result<Vec<u8>, StoreError> {
    // sqlx accepts the content itself in a variable, but not in a URL.
    let is_variable = !name.starts_with('`');
    let text = value.trim();
    if is_variable && text.starts_with("-----BEGIN") && text.ends_with("-----") {
        return Ok(text.as_bytes().to_vec());
    }
    fs::read(value).map_err(|error| {
        GRAMMAR
            .error(format!(
                "the file that {name} names cannot be read: correct its path, or let this process \
                 read it"
            ))
            .with_source(error)
    })
}

#[cfg(test)]
mod tests;
