use std::collections::HashMap;

use super::{
    failure,
    link::{Answer, commands, exactly, understood},
    store::{NAME, RedisStore},
};
use crate::store::StoreError;

/// The first version that can do what a store needs, and which Valkey says it is compatible with.
const OLDEST: u32 = 7;

/// A setting on which it rests that what was acknowledged is there tomorrow.
struct Setting {
    name: &'static str,
    must_be: &'static str,
    /// What may happen if it is anything else.
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

/// The settings that the application has accepted as they are.
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

    /// Why the setting is refused as it is, if it is.
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

impl RedisStore {
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let mut commands = commands();
        commands.cmd("INFO");
        for setting in [FSYNC, FSYNC_ON_REWRITE] {
            commands.cmd("CONFIG").arg("GET").arg(setting.name);
        }
        let answers = self.link.send_repeatable(&commands).await?;
        let [info, fsync, on_rewrite] = exactly(answers)?;
        let info = Info(understood(info)?);
        info.check_version()?;
        if info.get("loading") == Some("1") {
            return Err(failure::loading());
        }
        if info.get("role") != Some("master") {
            return Err(StoreError::misconfigured(NAME, failure::REPLICA));
        }
        let append_only = info.get("aof_enabled").map(|enabled| match enabled {
            "1" => "yes",
            _ => "no",
        });
        let mut found = vec![(APPEND_ONLY, append_only.map(str::to_owned))];
        // Without the file it does not matter when that is written.
        if append_only != Some("no") {
            found.push((FSYNC, configured(fsync, &FSYNC)));
            found.push((FSYNC_ON_REWRITE, configured(on_rewrite, &FSYNC_ON_REWRITE)));
        }
        found.push((EVICTION, info.get("maxmemory_policy").map(str::to_owned)));
        let refused: Vec<String> = found
            .iter()
            .filter_map(|(setting, value)| self.accepted.refuses(setting, value.as_deref()))
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        Err(StoreError::misconfigured(NAME, refused.join(". And ")))
    }
}

/// `None` if that is forbidden, or the command has another name.
fn configured(answer: Answer, setting: &Setting) -> Option<String> {
    let mut values: HashMap<String, String> = understood(answer).ok()?;
    values.remove(setting.name)
}

/// What `INFO` says: `name:value`, line by line.
struct Info(String);

impl Info {
    fn get(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(found, value)| (found == name).then_some(value))
    }

    fn check_version(&self) -> Result<(), StoreError> {
        let version = self.get("redis_version").unwrap_or("unknown");
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        if major.is_some_and(|major: u32| major >= OLDEST) {
            return Ok(());
        }
        Err(StoreError::misconfigured(
            NAME,
            format!(
                "the server's version is {version}: Redis {OLDEST}, Valkey 7.2, or newer is needed"
            ),
        ))
    }
}
