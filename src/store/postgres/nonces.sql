CREATE TABLE notion_auth_nonces (
    namespace text COLLATE "C" NOT NULL,
    digest    bytea NOT NULL,
    ends_at   timestamptz NOT NULL,
    PRIMARY KEY (namespace, digest)
);
COMMENT ON TABLE notion_auth_nonces IS 'notion-auth 1';
