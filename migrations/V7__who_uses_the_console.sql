-- Who may use the console, and what they did.

CREATE TABLE api_tokens (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL,
    hash         bytea NOT NULL UNIQUE,
    rights       text[] NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
-- One name, one token that works: so the name says who did something.
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name) WHERE revoked_at IS NULL;
COMMENT ON COLUMN api_tokens.hash IS 'SHA-256 of the token, which has 256 random bits: nobody finds it by trying, slow hash or not.';
COMMENT ON COLUMN api_tokens.last_used_at IS 'To the minute.';

CREATE TABLE sessions (
    hash       bytea PRIMARY KEY,
    subject    text NOT NULL,
    name       text NOT NULL,
    role       text NOT NULL,
    csrf       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_expire ON sessions (expires_at);
COMMENT ON COLUMN sessions.hash IS 'SHA-256 of what the cookie says.';

-- Logins that have gone to the provider and have not come back.
CREATE TABLE logins (
    hash       bytea PRIMARY KEY,
    nonce      text NOT NULL,
    verifier   text NOT NULL,
    next       text NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    kind     text NOT NULL CHECK (kind IN ('write', 'refusal')),
    who      text,
    via      text NOT NULL,
    address  text,
    method   text NOT NULL,
    path     text NOT NULL,
    status   int,
    detail   text,
    ended_at timestamptz
);
CREATE INDEX audit_who ON audit (who, id);
COMMENT ON TABLE audit IS 'Every write before it is done, and every refusal.';
COMMENT ON COLUMN audit.status IS 'NULL while the write goes on, or if its console died: see fix_history for what was done.';
