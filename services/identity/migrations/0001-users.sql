-- People. `email_key` is the address in the form that is compared; see contract/email.ts.
CREATE TABLE identity.users (
  user_id uuid PRIMARY KEY,
  email text NOT NULL,
  email_key text NOT NULL COLLATE "C",
  display_name text NOT NULL,
  state text NOT NULL CHECK (state IN ('ACTIVE', 'DISABLED')),
  create_time timestamptz(3) NOT NULL,
  update_time timestamptz(3) NOT NULL,
  delete_time timestamptz(3),
  -- Grows by one with every change; the etag is made of it.
  revision bigint NOT NULL
);

-- Deleted people keep their address until they are gone for good, so that they can come back.
CREATE UNIQUE INDEX users_email ON identity.users (email_key);
-- The order of lists.
CREATE INDEX users_order ON identity.users (create_time, user_id);
-- What the purge looks for.
CREATE INDEX users_deleted ON identity.users (delete_time) WHERE delete_time IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON identity.users TO identity;
