-- Times are microseconds since 1970, UTC; spans are microseconds. What the columns mean is in `Record`.
CREATE TABLE credentials (
    namespace      TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    generation     INTEGER NOT NULL,
    revision       INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    payload        BLOB    NOT NULL,
    workspace_name TEXT,
    bot_id         TEXT,
    committed_by   BLOB    NOT NULL,
    claim_attempt  BLOB,
    claim_since    INTEGER,
    claim_lease    INTEGER,
    claim_replay   INTEGER NOT NULL,
    not_before     INTEGER,
    connected_at   INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    refreshed_at   INTEGER,
    PRIMARY KEY (namespace, subject)
) STRICT;

CREATE INDEX credentials_by_bot ON credentials (namespace, bot_id, subject) WHERE bot_id IS NOT NULL;

CREATE TABLE marks (
    namespace TEXT    NOT NULL,
    digest    BLOB    NOT NULL,
    ends_at   INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest)
) STRICT;
