use sqlx::Row;

use super::{
    failure::{NAME, failed, read_only},
    schema,
    transaction::{Transaction, statement},
};
use crate::store::StoreError;

/// Server settings that the contract depends on: name, valid values, and the consequence and remedy. In the
/// order of [`READ`].
const SETTINGS: [(&str, &[&str], &str); 4] = [
    (
        "fsync",
        &["on"],
        "a crash of the machine can undo refreshes, or destroy the database: set it to on in the server's \
         configuration",
    ),
    (
        "full_page_writes",
        &["on"],
        "a crash of the machine can destroy the database: set it to on in the server's configuration",
    ),
    (
        "synchronous_commit",
        &["on", "local", "remote_write", "remote_apply"],
        "a crash of the server can undo refreshes: set it to on, in the server's configuration or for the role",
    ),
    (
        "server_encoding",
        &["UTF8"],
        "not every Subject can be kept: create the database with ENCODING 'UTF8'",
    ),
];

const READ: &str = "\
    SELECT current_setting('transaction_read_only') = 'on', \
           array_to_string(ARRAY[ \
               current_setting('fsync', true), current_setting('full_page_writes', true), \
               current_setting('synchronous_commit', true), current_setting('server_encoding', true) \
           ], ' ', 'unknown')";

/// Names of settings whose value is not checked.
#[derive(Debug, Clone, Default)]
pub(super) struct Accepted(Vec<&'static str>);

impl Accepted {
    pub(super) fn and(mut self, name: &str) -> Result<Self, StoreError> {
        let known = SETTINGS.map(|(name, ..)| name);
        let Some(found) = known.into_iter().find(|known| *known == name) else {
            let known = known.join(", ");
            return Err(StoreError::misconfigured(
                NAME,
                format!("{name:?} is not a setting that `health()` checks: those are {known}"),
            ));
        };
        self.0.push(found);
        Ok(self)
    }
}

/// Checks that the server's settings make changes durable.
pub(super) async fn check(
    transaction: &mut Transaction,
    accepted: &Accepted,
) -> Result<(), StoreError> {
    let row = statement(READ).fetch_one(transaction.connection()).await;
    let row = row.map_err(failed)?;
    if row.try_get(0).map_err(failed)? {
        return Err(read_only("transaction_read_only is on"));
    }
    let values: String = row.try_get(1).map_err(failed)?;
    for ((name, good, otherwise), value) in SETTINGS.into_iter().zip(values.split(' ')) {
        if !good.contains(&value) && !accepted.0.contains(&name) {
            return Err(StoreError::misconfigured(
                NAME,
                format!(
                    "the server's setting {name} is {value}, so {otherwise}, or accept it by \
                     `accept_setting({name:?})`"
                ),
            ));
        }
    }
    schema::check(transaction).await
}
