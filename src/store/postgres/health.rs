use sqlx::Row;

use super::{
    failure::failed,
    names::Names,
    schema::Table,
    statements::safe,
    store::NAME,
    transaction::{Transaction, statement},
};
use crate::store::StoreError;

/// A setting of the server that the promises rest on.
struct Setting {
    name: &'static str,
    is_good: fn(&str) -> bool,
    otherwise: &'static str,
    cure: &'static str,
}

const SETTINGS: [Setting; 4] = [
    Setting {
        name: "fsync",
        is_good: |value| value == "on",
        otherwise: "a crash of the machine can undo rotations, or destroy the database",
        cure: "set it to on in the server's configuration",
    },
    Setting {
        name: "full_page_writes",
        is_good: |value| value == "on",
        otherwise: "a crash of the machine can destroy the database",
        cure: "set it to on in the server's configuration",
    },
    Setting {
        name: "synchronous_commit",
        is_good: |value| value != "off",
        otherwise: "a crash of the server can undo rotations",
        cure: "set it to on, in the server's configuration or for the role",
    },
    Setting {
        name: "server_encoding",
        is_good: |value| value == "UTF8",
        otherwise: "not every subject can be kept",
        cure: "create the database with ENCODING 'UTF8'",
    },
];

/// The settings' names that are accepted as they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Accepted(Vec<&'static str>);

impl Accepted {
    pub(super) fn and(mut self, name: &str) -> Result<Self, StoreError> {
        let known = SETTINGS.map(|setting| setting.name);
        let found = known.into_iter().find(|known| *known == name);
        let Some(found) = found else {
            let known = known.join(", ");
            return Err(StoreError::misconfigured(
                NAME,
                format!("{name:?} is no setting that is looked at: those are {known}"),
            ));
        };
        self.0.push(found);
        Ok(self)
    }
}

/// Whether what the server takes is kept.
pub(super) async fn check(
    transaction: &mut Transaction,
    names: &Names,
    accepted: &Accepted,
) -> Result<(), StoreError> {
    let server = Server::ask(transaction).await.map_err(failed)?;
    if server.is_standby {
        return Err(standby());
    }
    if server.is_read_only {
        return Err(StoreError::misconfigured(
            NAME,
            "the database can only be read: see that `default_transaction_read_only` is off",
        ));
    }
    check_settings(server.settings.split(' '), accepted)?;
    for name in [names.credentials(), names.marks()] {
        let table = Table::find(transaction, &name).await?;
        let table = table.ok_or_else(|| {
            StoreError::misconfigured(
                NAME,
                format!(
                    "the table {name} is not there: call `migrate()`, or run what `schema_sql()` gives"
                ),
            )
        })?;
        table.check()?;
    }
    Ok(())
}

struct Server {
    is_standby: bool,
    is_read_only: bool,
    /// What [`SETTINGS`] are, in their order.
    settings: String,
}

impl Server {
    async fn ask(transaction: &mut Transaction) -> Result<Self, sqlx::Error> {
        let read = SETTINGS
            .map(|setting| format!("current_setting('{}', true)", setting.name))
            .join(", ");
        let sql = safe(format!(
            "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', \
                    array_to_string(ARRAY[{read}], ' ', 'unknown')"
        ));
        let row = statement(sql).fetch_one(transaction.connection()).await?;
        Ok(Self {
            is_standby: row.try_get(0)?,
            is_read_only: row.try_get(1)?,
            settings: row.try_get(2)?,
        })
    }
}

fn check_settings<'a>(
    values: impl Iterator<Item = &'a str>,
    accepted: &Accepted,
) -> Result<(), StoreError> {
    for (setting, value) in SETTINGS.iter().zip(values) {
        let Setting {
            name,
            otherwise,
            cure,
            ..
        } = setting;
        if !(setting.is_good)(value) && !accepted.0.contains(name) {
            return Err(StoreError::misconfigured(
                NAME,
                format!(
                    "the server's setting {name} is {value}, so {otherwise}: {cure}, or accept it by \
                     `accept_setting({name:?})`"
                ),
            ));
        }
    }
    Ok(())
}

pub(super) fn standby() -> StoreError {
    StoreError::misconfigured(
        NAME,
        "this server is a standby, which may lag behind: connect to the primary",
    )
}
