CREATE TABLE {marks} (
    namespace text COLLATE "C" NOT NULL,
    digest    bytea NOT NULL,
    ends_at   timestamptz NOT NULL,
    PRIMARY KEY (namespace, digest)
);
COMMENT ON TABLE {marks} IS '{version}';
