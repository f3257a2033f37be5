CREATE TABLE {credentials} (
    namespace      text COLLATE "C" NOT NULL,
    subject        text COLLATE "C" NOT NULL,
    generation     bigint NOT NULL,
    revision       bigint NOT NULL,
    state          text NOT NULL,
    payload        bytea NOT NULL,
    workspace_name text,
    bot_id         text,
    committed_by   bytea NOT NULL,
    claim_attempt  bytea,
    claim_since    timestamptz,
    claim_lease    bigint,
    claim_replay   boolean NOT NULL,
    not_before     timestamptz,
    connected_at   timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    refreshed_at   timestamptz,
    PRIMARY KEY (namespace, subject),
    CHECK (isfinite(claim_since) AND isfinite(not_before) AND isfinite(connected_at)
           AND isfinite(updated_at) AND isfinite(refreshed_at))
);
CREATE INDEX {bot} ON {credentials} USING hash (bot_id) WHERE bot_id IS NOT NULL;
CREATE INDEX {disconnected} ON {credentials} (namespace) WHERE state = 'disconnected';
COMMENT ON TABLE {credentials} IS '{version}';
