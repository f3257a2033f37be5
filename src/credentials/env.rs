use std::ffi::OsString;

use super::AppCredentialsError;

/// The environment variables of a field. The first one that is set is used.
pub(super) struct Variables {
    pub(super) field: &'static str,
    pub(super) names: &'static [&'static str],
}

pub(super) const AUTHORIZATION_URL: Variables = Variables {
    field: "authorization_url",
    names: &["NOTION_AUTHORIZATION_URL", "NOTION_AUTHORIZE_URL"],
};
pub(super) const TOKEN_URL: Variables = Variables {
    field: "token_url",
    names: &["NOTION_TOKEN_URL", "NOTION_ACCESS_TOKEN_URL"],
};
pub(super) const CLIENT_ID: Variables = Variables {
    field: "client_id",
    names: &["NOTION_CLIENT_ID"],
};
pub(super) const CLIENT_SECRET: Variables = Variables {
    field: "client_secret",
    names: &["NOTION_CLIENT_SECRET"],
};
pub(super) const REDIRECT_URI: Variables = Variables {
    field: "redirect_uri",
    names: &["NOTION_REDIRECT_URI"],
};
pub(super) const TOKEN: Variables = Variables {
    field: "token",
    names: &["NOTION_TOKEN", "NOTION_INTEGRATION_TOKEN"],
};
pub(super) const VERSION: Variables = Variables {
    field: "version",
    names: &["NOTION_VERSION", "NOTION_API_VERSION"],
};

/// Not a field of the app's credentials, but of the provider.
const API_URL: Variables = Variables {
    field: "api_url",
    names: &["NOTION_API_URL"],
};

/// A value, and the variable that it was read from.
pub(super) type Found = Option<(String, &'static str)>;

impl Variables {
    /// Reads the first variable that is set. An empty variable counts as unset.
    pub(super) fn look_up(
        &self,
        get: &impl Fn(&str) -> Option<OsString>,
    ) -> Result<Found, AppCredentialsError> {
        let error = |name, problem| Err(AppCredentialsError::new(self.field, Some(name), problem));
        for &name in self.names {
            match get(name).map(OsString::into_string) {
                None => {}
                Some(Ok(text)) if text.is_empty() => {}
                Some(Ok(text)) if is_quoted(&text) => return error(name, QUOTED),
                Some(Ok(text)) => return Ok(Some((text, name))),
                Some(Err(_)) => return error(name, "expected UTF-8 text"),
            }
        }
        Ok(None)
    }
}

/// A token or a secret in quotes could be sent, and Notion would refuse it without saying why.
const QUOTED: &str = "the value is in quotes, which a shell removes and an environment file may not: \
    remove them";

fn is_quoted(text: &str) -> bool {
    ['"', '\'']
        .iter()
        .any(|quote| text.len() > 1 && text.starts_with(*quote) && text.ends_with(*quote))
}

/// Returns the URL of Notion's API from the environment, if it is set there.
pub(crate) fn api_url_from_env() -> Result<Option<String>, AppCredentialsError> {
    let found = API_URL.look_up(&|name| std::env::var_os(name))?;
    Ok(found.map(|(url, _)| url))
}
