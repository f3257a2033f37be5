use std::collections::HashMap;

use redis::cmd;

use super::{
    connection::{Connection, call, script},
    failure::{NAME, ends_connection, failed},
    keys::{Keys, Tag},
};
use crate::store::StoreError;

/// A server setting that decides whether acknowledged changes are durable.
struct Setting {
    name: &'static str,
    must_be: &'static str,
    /// What may happen if the setting has another value.
    otherwise: &'static str,
}

const APPEND_ONLY: Setting = Setting {
    name: "appendonly",
    must_be: "yes",
    otherwise: "a restart may lose all changes since the last snapshot",
};
const FSYNC: Setting = Setting {
    name: "appendfsync",
    must_be: "always",
    otherwise: "a crash of the machine may lose changes that were acknowledged, with everysec those of the \
                last second",
};
const FSYNC_ON_REWRITE: Setting = Setting {
    name: "no-appendfsync-on-rewrite",
    must_be: "no",
    otherwise: "while the server rewrites its file, a crash of the machine may lose changes that were \
                acknowledged",
};
const EVICTION: Setting = Setting {
    name: "maxmemory-policy",
    must_be: "noeviction",
    otherwise: "for lack of memory the server may remove credentials",
};
const SETTINGS: [Setting; 4] = [APPEND_ONLY, FSYNC, FSYNC_ON_REWRITE, EVICTION];

/// Settings whose values the application accepts.
#[derive(Clone, Debug, Default)]
pub(super) struct Accepted(pub(super) Vec<&'static str>);

impl Accepted {
    pub(super) fn add(&mut self, name: &str) -> Result<(), StoreError> {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
            let names = SETTINGS.map(|setting| setting.name).join(", ");
            return Err(StoreError::misconfigured(
                NAME,
                format!("there is no setting {name:?} to accept, only these: {names}"),
            ));
        };
        self.0.push(setting.name);
        Ok(())
    }

    /// Returns why the setting's value is refused, if it is.
    fn refuses(&self, setting: &Setting, value: Option<&str>) -> Option<String> {
        let Setting {
            name,
            must_be,
            otherwise,
        } = setting;
        if value == Some(must_be) || self.0.contains(name) {
            return None;
        }
        Some(match value {
            Some(value) => format!(
                "{name} is {value:?}, and {otherwise}: set it to {must_be}, or accept it by \
                 `accept_setting(\"{name}\")`"
            ),
            None => format!(
                "{name} cannot be read, and if it is not {must_be}, {otherwise}: allow CONFIG GET, or \
                 accept it by `accept_setting(\"{name}\")`"
            ),
        })
    }
}

/// Checks that the server's settings make changes durable.
pub(super) async fn check(
    connection: &Connection,
    keys: &Keys,
    accepted: &Accepted,
) -> Result<(), StoreError> {
    let any_index = keys.index(&Tag::of(""));
    let check = call(script!("check"), &[any_index]);
    connection.send::<u64>(&check).await?;
    let info: String = connection.send(&cmd("INFO")).await?;
    let append_only = field(&info, "aof_enabled").map(|enabled| match enabled {
        "1" => "yes",
        _ => "no",
    });
    let mut found = vec![(APPEND_ONLY, append_only.map(str::to_owned))];
    // Without an append-only file, its settings do not matter.
    if append_only != Some("no") {
        for setting in [FSYNC, FSYNC_ON_REWRITE] {
            let value = configured(connection, &setting).await?;
            found.push((setting, value));
        }
    }
    found.push((
        EVICTION,
        field(&info, "maxmemory_policy").map(str::to_owned),
    ));
    let refused: Vec<String> = found
        .iter()
        .filter_map(|(setting, value)| accepted.refuses(setting, value.as_deref()))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(StoreError::misconfigured(NAME, refused.join(". And ")))
}

/// Returns the setting's value, or `None` if the server does not allow reading it.
async fn configured(
    connection: &Connection,
    setting: &Setting,
) -> Result<Option<String>, StoreError> {
    let mut config = cmd("CONFIG");
    config.arg("GET").arg(setting.name);
    match connection.ask::<HashMap<String, String>>(&config).await {
        Ok(mut values) => Ok(values.remove(setting.name)),
        Err(error) if ends_connection(&error) => Err(failed(error)),
        Err(_) => Ok(None),
    }
}

/// Returns a field of the output of `INFO`, which has lines `name:value`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.find_map(|(found, value)| (found == name).then_some(value))
}
