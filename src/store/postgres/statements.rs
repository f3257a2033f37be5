use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::names::Names;
use crate::store::{Filter, TOMBSTONE_AGE};

/// The columns of a record beside its key, in the order in which they are bound; times are marked.
const COLUMNS: [(&str, bool); 15] = [
    ("generation", false),
    ("revision", false),
    ("state", false),
    ("payload", false),
    ("workspace_name", false),
    ("bot_id", false),
    ("committed_by", false),
    ("claim_attempt", false),
    ("claim_since", true),
    ("claim_lease", false),
    ("claim_replay", false),
    ("not_before", true),
    ("connected_at", true),
    ("updated_at", true),
    ("refreshed_at", true),
];

/// What is said to the server. `$1` is always the namespace.
#[derive(Debug)]
pub(super) struct Statements {
    /// `$2` is the subject. Always one row: whether the server is a standby, its time, and the record,
    /// or nothing but NULL.
    pub(super) load: SqlStr,
    /// `$2` is the subject, from `$3` on the columns.
    pub(super) insert: SqlStr,
    /// As before, and `$18` the revision that is replaced.
    pub(super) update: SqlStr,
    /// `$2` is the digest, `$3` how long it counts.
    pub(super) once: SqlStr,
    pub(super) sweep_tombstones: SqlStr,
    pub(super) sweep_marks: SqlStr,
}

pub(super) const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

impl Statements {
    pub(super) fn of(names: &Names) -> Self {
        let (credentials, marks) = (names.credentials(), names.marks());
        let columns = COLUMNS.map(|(name, _)| name).join(", ");
        let read = read("record.payload");
        let mut place = 2;
        let values = COLUMNS
            .map(|(_, is_time)| {
                place += 1;
                match is_time {
                    true => format!("timestamptz 'epoch' + ${place} * interval '1 microsecond'"),
                    false => format!("${place}"),
                }
            })
            .join(", ");
        let age = TOMBSTONE_AGE.as_secs();
        Self {
            load: safe(format!(
                "SELECT pg_is_in_recovery() AS is_standby, \
                        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS read_at, {read} \
                 FROM (SELECT) AS always LEFT JOIN {credentials} AS record \
                 ON namespace = $1 AND subject = $2"
            )),
            insert: safe(format!(
                "INSERT INTO {credentials} (namespace, subject, {columns}) \
                 VALUES ($1, $2, {values}) ON CONFLICT (namespace, subject) DO NOTHING"
            )),
            update: safe(format!(
                "UPDATE {credentials} SET ({columns}) = ROW ({values}) \
                 WHERE namespace = $1 AND subject = $2 AND revision = $18"
            )),
            once: safe(format!(
                "INSERT INTO {marks} AS mark (namespace, digest, ends_at) \
                 VALUES ($1, $2, clock_timestamp() + $3 * interval '1 microsecond') \
                 ON CONFLICT (namespace, digest) \
                 DO UPDATE SET ends_at = clock_timestamp() + $3 * interval '1 microsecond' \
                 WHERE mark.ends_at <= clock_timestamp()"
            )),
            sweep_tombstones: safe(format!(
                "DELETE FROM {credentials} WHERE state = 'disconnected' \
                 AND updated_at <= clock_timestamp() - interval '{age} seconds'"
            )),
            sweep_marks: safe(format!(
                "DELETE FROM {marks} WHERE ends_at <= clock_timestamp()"
            )),
        }
    }
}

/// `$2` is the subject to begin behind, `$3` a bot, `$4` how many.
pub(super) fn list(names: &Names, filter: &Filter) -> SqlStr {
    let (credentials, read) = (names.credentials(), read("''::bytea"));
    let states = match filter {
        Filter::All | Filter::Bot(_) => "",
        Filter::Active => "AND state = 'active'",
        // Also what is not known as a state.
        Filter::NeedsReauthorization => "AND state NOT IN ('active', 'disconnected')",
        Filter::Disconnected => "AND state = 'disconnected'",
    };
    safe(format!(
        "SELECT subject, {read} FROM {credentials} AS record WHERE namespace = $1 \
         AND ($2::text IS NULL OR subject > $2) AND ($3::text IS NULL OR bot_id = $3) {states} \
         ORDER BY subject LIMIT $4"
    ))
}

/// A record's columns, with times as microseconds.
fn read(payload: &str) -> String {
    COLUMNS
        .map(|(name, is_time)| match (name, is_time) {
            ("payload", _) => format!("{payload} AS payload"),
            (_, true) => format!("(extract(epoch FROM {name}) * 1000000)::bigint AS {name}"),
            (_, false) => name.to_owned(),
        })
        .join(", ")
}

/// Of nothing but text from here and names that were looked at.
pub(super) fn safe(sql: String) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}
