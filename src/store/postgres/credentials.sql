-- `bytes` is the record; the other columns are what is searched by.
CREATE TABLE notion_auth_credentials (
    namespace  text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    revision   bigint NOT NULL,
    state      text NOT NULL,
    bot_id     text,
    updated_at timestamptz NOT NULL CHECK (isfinite(updated_at)),
    bytes      bytea NOT NULL,
    PRIMARY KEY (namespace, subject)
);
-- By hash: an entry of another index has a maximum length, and a bot id none.
CREATE INDEX notion_auth_credentials_by_bot ON notion_auth_credentials USING hash (bot_id)
    WHERE bot_id IS NOT NULL;
CREATE INDEX notion_auth_credentials_tombstones ON notion_auth_credentials (updated_at)
    WHERE state = 'disconnected';
COMMENT ON TABLE notion_auth_credentials IS 'notion-auth 1';
