-- The log. An entry's `bytes` are what was hashed (a protobuf of switchboard.audit.v1.Event without its hash); the other
-- columns repeat what they say, for finding, and VerifyLog compares them.
CREATE TABLE audit.entries (
  sequence bigint PRIMARY KEY,
  event_id uuid NOT NULL,
  source text NOT NULL COLLATE "C",
  time timestamptz(3) NOT NULL,
  actor text NOT NULL COLLATE "C",
  action text NOT NULL COLLATE "C",
  object text NOT NULL COLLATE "C",
  outcome smallint NOT NULL,
  reason text NOT NULL COLLATE "C",
  trace_id text NOT NULL COLLATE "C",
  bytes bytea NOT NULL,
  leaf_hash bytea NOT NULL
);

-- One entry for an event, however often it is delivered. Ids are their source's own: nobody can use up another's.
CREATE UNIQUE INDEX entries_event ON audit.entries (event_id, source);
-- What lists are filtered by; the newest come first.
CREATE INDEX entries_time ON audit.entries (time);
CREATE INDEX entries_actor ON audit.entries (actor, sequence);
CREATE INDEX entries_action ON audit.entries (action, sequence);
CREATE INDEX entries_object ON audit.entries (object, sequence);
CREATE INDEX entries_trace ON audit.entries (trace_id) WHERE trace_id <> '';
CREATE INDEX entries_not_allowed ON audit.entries (outcome, sequence) WHERE outcome <> 1;

-- The Merkle tree's root at the end of each batch (RFC 6962), and its right edge: the roots of the perfect subtrees from
-- the largest to the smallest, 32 bytes each, from which the next batch goes on.
CREATE TABLE audit.heads (
  size bigint PRIMARY KEY,
  head bytea NOT NULL,
  edge bytea NOT NULL
);

-- The log only grows. Grants keep the service from changing it; the triggers keep its owner from doing so by mistake.
CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log only grows: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.entries
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.heads
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

GRANT SELECT, INSERT ON audit.entries, audit.heads TO audit;
