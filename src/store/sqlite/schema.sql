-- Times are microseconds since 1970, UTC. `bytes` is the record; the other columns are what is searched by.
CREATE TABLE credentials (
    namespace  TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    revision   INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    bot_id     TEXT,
    updated_at INTEGER NOT NULL,
    bytes      BLOB    NOT NULL,
    PRIMARY KEY (namespace, subject)
) STRICT;

CREATE INDEX credentials_by_bot ON credentials (namespace, bot_id, subject) WHERE bot_id IS NOT NULL;

CREATE TABLE nonces (
    namespace TEXT    NOT NULL,
    digest    BLOB    NOT NULL,
    ends_at   INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest)
) STRICT;
