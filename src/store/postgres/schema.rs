use sqlx::{Row, postgres::PgRow};

use super::{
    failure::failed,
    names::Names,
    statements::safe,
    store::NAME,
    transaction::{Transaction, statement},
};
use crate::store::StoreError;

/// What the comment of a table begins with, and then the version of its columns.
const OWNER: &str = "notion-auth";
const VERSION: u32 = 1;

/// By this number those who migrate wait for each other: "notion_a".
const LOCK: i64 = 0x6e6f_7469_6f6e_5f61;

/// The statements that make both tables.
pub(super) fn sql(names: &Names) -> String {
    format!("{}\n{}", credentials_sql(names), marks_sql(names))
}

fn credentials_sql(names: &Names) -> String {
    include_str!("credentials.sql")
        .replace("{credentials}", &names.credentials())
        .replace("{bot}", &names.index("bot"))
        .replace("{disconnected}", &names.index("disconnected"))
        .replace("{version}", &format!("{OWNER} {VERSION}"))
}

fn marks_sql(names: &Names) -> String {
    include_str!("marks.sql")
        .replace("{marks}", &names.marks())
        .replace("{version}", &format!("{OWNER} {VERSION}"))
}

/// Makes the tables that are not there, if those that are there are this crate's.
pub(super) async fn make(transaction: &mut Transaction, names: &Names) -> Result<(), StoreError> {
    statement("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(transaction.connection())
        .await
        .map_err(failed)?;
    for (table, sql) in [
        (names.credentials(), credentials_sql(names)),
        (names.marks(), marks_sql(names)),
    ] {
        match Table::find(transaction, &table).await? {
            Some(found) => found.check_version()?,
            None => {
                let made = sqlx::raw_sql(safe(sql)).execute(transaction.connection());
                made.await.map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// A table, as the server's catalogue has it.
pub(super) struct Table {
    name: String,
    comment: Option<String>,
    is_logged: bool,
    role: String,
    /// Which of the rights that are needed the role has not.
    missing: String,
}

impl Table {
    pub(super) async fn find(
        transaction: &mut Transaction,
        name: &str,
    ) -> Result<Option<Self>, StoreError> {
        const FIND: &str = "SELECT obj_description(oid, 'pg_class'), relpersistence = 'p', current_user::text, \
                    concat_ws(', ', \
                        CASE WHEN NOT has_table_privilege(oid, 'SELECT') THEN 'SELECT' END, \
                        CASE WHEN NOT has_table_privilege(oid, 'INSERT') THEN 'INSERT' END, \
                        CASE WHEN NOT has_table_privilege(oid, 'UPDATE') THEN 'UPDATE' END, \
                        CASE WHEN NOT has_table_privilege(oid, 'DELETE') THEN 'DELETE' END) \
             FROM pg_class WHERE oid = to_regclass($1)";
        let row = statement(FIND)
            .bind(name)
            .fetch_optional(transaction.connection())
            .await
            .map_err(failed)?;
        let read = |row: PgRow| {
            Ok(Self {
                name: name.to_owned(),
                comment: row.try_get(0)?,
                is_logged: row.try_get(1)?,
                role: row.try_get(2)?,
                missing: row.try_get(3)?,
            })
        };
        row.map(read).transpose().map_err(failed)
    }

    /// Whether it is this crate's, and of this version.
    fn check_version(&self) -> Result<(), StoreError> {
        let name = &self.name;
        let mut words = self.comment.as_deref().unwrap_or_default().split(' ');
        let version = match (words.next(), words.next()) {
            (Some(OWNER), Some(version)) => version.parse::<u32>().ok(),
            _ => None,
        };
        let refusal = match version {
            Some(VERSION) => return Ok(()),
            Some(newer) if newer > VERSION => format!(
                "the table {name} has schema {newer}, of a newer version of this crate, which knows only \
                 {VERSION}: upgrade this process too"
            ),
            _ => format!(
                "the table {name} is another application's, or has lost its comment `{OWNER} {VERSION}`: give \
                 another name by `table()`, or another schema by `schema()`"
            ),
        };
        Err(StoreError::misconfigured(NAME, refusal))
    }

    /// Whether records can be kept in it, and stay.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.check_version()?;
        let Self {
            name,
            role,
            missing,
            ..
        } = self;
        if !self.is_logged {
            return Err(StoreError::misconfigured(
                NAME,
                format!(
                    "the table {name} is emptied by a crash: `ALTER TABLE {name} SET LOGGED`, or make it anew \
                     if it is temporary"
                ),
            ));
        }
        if !missing.is_empty() {
            return Err(StoreError::misconfigured(
                NAME,
                format!(
                    "the role {role:?} lacks rights on the table {name}: `GRANT {missing} ON {name} TO {role:?}`"
                ),
            ));
        }
        Ok(())
    }
}
