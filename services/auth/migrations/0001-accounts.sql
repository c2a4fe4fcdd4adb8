-- Accounts: who may sign in, and with what. The person behind one is Identity's.
CREATE TABLE auth.account (
  user_id uuid PRIMARY KEY,
  email text NOT NULL,
  -- What e-mails are compared by: NFKC, lower case.
  email_key text NOT NULL UNIQUE,
  display_name text NOT NULL,
  -- Argon2id as a PHC string.
  password_hash text NOT NULL,
  -- pending: the person is not yet known to be in Identity.
  state text NOT NULL CHECK (state IN ('pending', 'active')),
  disabled boolean NOT NULL DEFAULT false,
  delete_time timestamptz,
  sign_up_request_id uuid UNIQUE,
  create_time timestamptz NOT NULL
);
CREATE INDEX account_pending ON auth.account (create_time) WHERE state = 'pending';
CREATE INDEX account_deleted ON auth.account (delete_time) WHERE delete_time IS NOT NULL;

-- Open sessions. One that ends is deleted, and a revocation says so to the verifiers.
CREATE TABLE auth.session (
  session_id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES auth.account ON DELETE CASCADE,
  create_time timestamptz NOT NULL,
  last_use_time timestamptz NOT NULL,
  -- The earlier of: the idle time after the last use, and end_time.
  expire_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  user_agent text NOT NULL,
  address text NOT NULL
);
CREATE INDEX session_by_user ON auth.session (user_id);
CREATE INDEX session_by_expire_time ON auth.session (expire_time);

-- Every refresh token of an open session, used ones too: a used one that comes again gives a thief away.
CREATE TABLE auth.refresh_token (
  token_hash bytea PRIMARY KEY,
  session_id uuid NOT NULL REFERENCES auth.session ON DELETE CASCADE,
  use_time timestamptz
);
CREATE INDEX refresh_token_by_session ON auth.refresh_token (session_id);

CREATE TABLE auth.api_key (
  api_key_id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES auth.account ON DELETE CASCADE,
  display_name text NOT NULL,
  secret_hash bytea NOT NULL UNIQUE,
  secret_prefix text NOT NULL,
  create_time timestamptz NOT NULL,
  expire_time timestamptz,
  last_use_time timestamptz
);
CREATE INDEX api_key_by_user ON auth.api_key (user_id);

-- Credentials whose access tokens are refused before they expire. Numbers are given under an advisory lock, so that they
-- become visible in their order.
CREATE TABLE auth.revocation (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  credential_id uuid NOT NULL,
  expire_time timestamptz NOT NULL
);
CREATE INDEX revocation_by_expire_time ON auth.revocation (expire_time);

-- Ed25519 keys. The private half is sealed with AES-256-GCM.
CREATE TABLE auth.signing_key (
  kid text PRIMARY KEY,
  public_x text NOT NULL,
  sealed_private_key bytea NOT NULL,
  create_time timestamptz NOT NULL,
  -- From here on it signs, until a key with a later one does.
  activate_time timestamptz NOT NULL
);

-- The first administrator is made once for ever; this is the only row, and where its making stands.
CREATE TABLE auth.first_administrator (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  user_id uuid NOT NULL,
  grant_time timestamptz
);

GRANT SELECT, INSERT, UPDATE, DELETE ON auth.account, auth.session, auth.refresh_token, auth.api_key TO auth;
GRANT SELECT, INSERT, DELETE ON auth.revocation, auth.signing_key TO auth;
GRANT SELECT, INSERT, UPDATE ON auth.first_administrator TO auth;
