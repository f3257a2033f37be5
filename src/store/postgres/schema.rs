use super::{
    failure::{NAME, NO_TABLE, failed},
    transaction::{Transaction, statement},
};
use crate::store::StoreError;

/// The statements that create both tables.
pub(super) const SQL: &str = concat!(
    include_str!("credentials.sql"),
    "\n",
    include_str!("nonces.sql")
);

const TABLES: [(&str, &str); 2] = [
    ("notion_auth_credentials", include_str!("credentials.sql")),
    ("notion_auth_nonces", include_str!("nonces.sql")),
];

/// Prefix of a table's comment. The version of its columns follows.
const OWNER: &str = "notion-auth";
const VERSION: u32 = 1;

/// Advisory lock that serializes migrations: "notion_a".
const LOCK: i64 = 0x6e6f_7469_6f6e_5f61;

/// Creates the missing tables, if the existing ones belong to this crate.
pub(super) async fn make(transaction: &mut Transaction) -> Result<(), StoreError> {
    statement("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(transaction.connection())
        .await
        .map_err(failed)?;
    for (name, sql) in TABLES {
        match Table::find(transaction, name).await? {
            Some(table) => {
                table.check_version()?;
                table.warn_if_public();
            }
            None => {
                let made = sqlx::raw_sql(sql).execute(transaction.connection());
                made.await.map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Checks that the tables can store records durably.
pub(super) async fn check(transaction: &mut Transaction) -> Result<(), StoreError> {
    for (name, _) in TABLES {
        match Table::find(transaction, name).await? {
            Some(table) => table.check()?,
            None => {
                return Err(StoreError::misconfigured(
                    NAME,
                    format!("{NO_TABLE} ({name})"),
                ));
            }
        }
    }
    Ok(())
}

/// A table, as in the server's catalogue.
struct Table {
    name: &'static str,
    comment: String,
    is_logged: bool,
    role: String,
    /// The required privileges that the role lacks.
    missing: String,
    /// Whether each role of the database may read it.
    is_public: bool,
}

impl Table {
    async fn find(
        transaction: &mut Transaction,
        name: &'static str,
    ) -> Result<Option<Self>, StoreError> {
        const FIND: &str = "\
            SELECT coalesce(obj_description(oid, 'pg_class'), ''), relpersistence = 'p', current_user::text, \
                   (SELECT coalesce(string_agg(privilege, ', '), '') \
                    FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege \
                    WHERE NOT has_table_privilege(oid, privilege)), \
                   has_table_privilege('public'::name, oid, 'SELECT') \
            FROM pg_class WHERE oid = to_regclass($1)";
        let found = sqlx::query_as(FIND).persistent(false).bind(name);
        let found = found.fetch_optional(transaction.connection()).await;
        let table = found.map_err(failed)?;
        Ok(
            table.map(|(comment, is_logged, role, missing, is_public)| Self {
                name,
                comment,
                is_logged,
                role,
                missing,
                is_public,
            }),
        )
    }

    /// Checks that the table belongs to this crate and has this version.
    fn check_version(&self) -> Result<(), StoreError> {
        let name = self.name;
        let mut words = self.comment.split(' ');
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
            _ if self.comment.is_empty() => format!(
                "the table {name} has no comment. If it was restored from a dump without comments, run `COMMENT ON \
                 TABLE {name} IS '{OWNER} {VERSION}'`. If it is another application's, give the role a `search_path` \
                 with a schema of its own"
            ),
            _ => format!(
                "the table {name} is another application's: give the role a `search_path` with a schema of its own"
            ),
        };
        Err(StoreError::misconfigured(NAME, refusal))
    }

    fn warn_if_public(&self) {
        if self.is_public {
            let name = self.name;
            tracing::warn!(
                "every role of the database may read the table {name}, with workspace names and encrypted tokens: \
                 `REVOKE ALL ON {name} FROM PUBLIC`"
            );
        }
    }

    /// Checks that the table belongs to this crate and can store records durably.
    fn check(&self) -> Result<(), StoreError> {
        self.check_version()?;
        let (name, role, missing) = (self.name, &self.role, &self.missing);
        let message = if !self.is_logged {
            format!(
                "a crash empties the table {name}: `ALTER TABLE {name} SET LOGGED`, or make it again if it is \
                 temporary"
            )
        } else if !missing.is_empty() {
            format!(
                "the role {role:?} lacks privileges on a table: `GRANT {missing} ON {name} TO {role:?}`"
            )
        } else {
            return Ok(());
        };
        Err(StoreError::misconfigured(NAME, message))
    }
}
