//! JSON format of stored credentials, and helpers shared with the parser of token responses.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};
use serde_json::{Map, Value};

use super::NotionUserCredentials;

/// [`NotionUserCredentials`] that serialize with their tokens in plaintext, for a custom store or a backup.
///
/// Protect the result as a secret.
///
/// Returned by [`NotionUserCredentials::expose_tokens`].
#[derive(Debug)]
pub struct ExposedCredentials<'a>(&'a NotionUserCredentials);

impl<'a> ExposedCredentials<'a> {
    pub(super) fn new(credentials: &'a NotionUserCredentials) -> Self {
        Self(credentials)
    }
}

impl Serialize for ExposedCredentials<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let it = self.0;
        let mut fields = serializer.serialize_struct("NotionUserCredentials", 11)?;
        fields.serialize_field("access_token", it.access_token.expose())?;
        fields.serialize_field("token_type", &it.token_type)?;
        let refresh_token = it.refresh_token.as_ref().map(super::RefreshToken::expose);
        fields.serialize_field("refresh_token", &refresh_token)?;
        fields.serialize_field("scope", &it.scope)?;
        fields.serialize_field("expires_in", &it.expires_in)?;
        fields.serialize_field("expires_at", &it.expires_at.map(unix_seconds))?;
        let id_token = it.id_token.as_ref().map(super::IdToken::expose);
        fields.serialize_field("id_token", &id_token)?;
        fields.serialize_field("workspace_id", &it.workspace_id)?;
        fields.serialize_field("workspace_name", &it.workspace_name)?;
        fields.serialize_field("workspace_icon", &it.icon_to_store())?;
        fields.serialize_field("raw", &it.raw)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for NotionUserCredentials {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Object(members) = Value::deserialize(deserializer)? else {
            return Err(de::Error::custom("credentials: expected a JSON object"));
        };
        let mut credentials = Self::new(super::AccessToken::new(""));
        let mut has_access_token = false;
        let mut others = Vec::new();
        // A null member counts as absent.
        for (name, value) in members {
            match name.as_str() {
                "access_token" => {
                    if let Some(token) = read(&name, value, text)? {
                        credentials.access_token = super::AccessToken::new(token);
                        has_access_token = true;
                    }
                }
                "token_type" => {
                    let token_type = read(&name, value, text)?;
                    if let Some(token_type) = token_type.as_deref().and_then(canonical_token_type) {
                        credentials.token_type = token_type;
                    }
                }
                "refresh_token" => {
                    credentials.refresh_token = read(&name, value, text)?
                        .filter(|token| !token.is_empty())
                        .map(super::RefreshToken::new);
                }
                "id_token" => {
                    credentials.id_token = read(&name, value, text)?.map(super::IdToken::new);
                }
                "scope" => credentials.scope = read(&name, value, |value| scope_list(&value))?,
                "expires_in" => {
                    credentials.expires_in = read(&name, value, |value| seconds(&value))?;
                }
                "expires_at" => {
                    credentials.expires_at = read(&name, value, |value| unix_time(&value))?;
                }
                "workspace_id" => credentials.workspace_id = read(&name, value, text)?,
                "workspace_name" => credentials.workspace_name = read(&name, value, text)?,
                "workspace_icon" => credentials.workspace_icon = read(&name, value, text)?,
                "raw" => credentials.raw = read(&name, value, object)?.unwrap_or_default(),
                _ => others.push((name, value)),
            }
        }
        if !has_access_token {
            return Err(de::Error::missing_field("access_token"));
        }
        for (name, value) in others {
            credentials.raw.entry(name).or_insert(value);
        }
        tidy_raw(&mut credentials);
        Ok(credentials)
    }
}

/// Reads a member that may be null. The error names the member and does not show its value.
fn read<T, E: de::Error>(
    name: &str,
    value: Value,
    form: impl FnOnce(Value) -> Option<T>,
) -> Result<Option<T>, E> {
    if value.is_null() {
        return Ok(None);
    }
    form(value)
        .map(Some)
        .ok_or_else(|| E::custom(format_args!("{name}: {WRONG_TYPE}")))
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

const WRONG_TYPE: &str = "the value is of a type or form that this field cannot have";

/// Normalizes `bearer` to the spelling of RFC 6750. A blank token type counts as absent.
pub(crate) fn canonical_token_type(token_type: &str) -> Option<String> {
    match token_type.trim() {
        "" => None,
        bearer if bearer.eq_ignore_ascii_case("bearer") => Some("Bearer".to_owned()),
        other => Some(other.to_owned()),
    }
}

/// Parses a scope from a list, or from one string separated by spaces (RFC 6749 section 3.3).
pub(crate) fn scope_list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(text.split_ascii_whitespace().map(str::to_owned).collect()),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

/// Parses a number of seconds, also from a string. A negative number yields 0.
pub(crate) fn seconds(value: &Value) -> Option<u64> {
    let number = match value {
        Value::Number(number) => match number.as_u64() {
            Some(whole) => return Some(whole),
            None => number.as_f64()?,
        },
        Value::String(text) => match text.trim().parse::<u64>() {
            Ok(whole) => return Some(whole),
            Err(_) => text.trim().parse().ok()?,
        },
        _ => return None,
    };
    if !number.is_finite() {
        return None;
    }
    Some(
        Duration::try_from_secs_f64(number.max(0.0))
            .unwrap_or(Duration::MAX)
            .as_secs(),
    )
}

/// Parses Unix seconds, with or without a fraction, from a number or a string.
pub(crate) fn unix_time(value: &Value) -> Option<SystemTime> {
    let since = match value {
        Value::Number(number) => match number.as_u64() {
            Some(whole) => Duration::from_secs(whole),
            None => Duration::try_from_secs_f64(number.as_f64()?.max(0.0)).ok()?,
        },
        Value::String(text) => {
            let number: f64 = text.trim().parse().ok()?;
            if number.is_nan() {
                return None;
            }
            Duration::try_from_secs_f64(number.max(0.0)).ok()?
        }
        _ => return None,
    };
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Writes whole seconds as an integer, so that a value that was read is written unchanged.
fn unix_seconds(time: SystemTime) -> Value {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    if since.subsec_nanos() == 0 {
        Value::from(since.as_secs())
    } else {
        Value::from(since.as_secs_f64())
    }
}

/// Removes tokens from `raw`, by name and by value, so that no token is stored twice. Also removes values
/// that are nested too deep to be parsed again.
pub(crate) fn tidy_raw(credentials: &mut NotionUserCredentials) {
    let mut raw = std::mem::take(&mut credentials.raw);
    let tokens: Vec<&str> = [
        Some(credentials.access_token.expose()),
        credentials
            .refresh_token
            .as_ref()
            .map(super::RefreshToken::expose),
        credentials.id_token.as_ref().map(super::IdToken::expose),
    ]
    .into_iter()
    .flatten()
    .filter(|token| !token.is_empty())
    .collect();
    tidy_members(&mut raw, &tokens, DEEPEST);
    credentials.raw = raw;
}

/// Maximum nesting of arrays and objects. `serde_json` parses up to 127 levels.
const DEEPEST: usize = 100;

fn tidy_members(members: &mut Map<String, Value>, tokens: &[&str], depth_left: usize) {
    members.retain(|name, value| {
        !matches!(name.as_str(), "access_token" | "refresh_token" | "id_token")
            && !tokens.iter().any(|token| name.contains(token))
            && tidy(value, tokens, depth_left)
    });
}

/// Returns whether the value is kept.
fn tidy(value: &mut Value, tokens: &[&str], depth_left: usize) -> bool {
    match value {
        Value::String(text) => !tokens.iter().any(|token| text.contains(token)),
        Value::Array(_) | Value::Object(_) if depth_left == 0 => false,
        Value::Array(items) => {
            items.retain_mut(|item| tidy(item, tokens, depth_left - 1));
            true
        }
        Value::Object(members) => {
            tidy_members(members, tokens, depth_left - 1);
            true
        }
        _ => true,
    }
}
