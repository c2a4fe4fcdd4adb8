-- What every service's schema has: facts on their way out, facts that came in, answers of safe writes.
-- The runtime role has the schema's name.

-- Facts whose transaction committed and that are not on the bus yet; the relay deletes what it published.
CREATE TABLE outbox (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL,
  type text NOT NULL,
  key text NOT NULL,
  -- The publisher's clock; the form is the envelope's.
  time text NOT NULL,
  actor text NOT NULL,
  traceparent text NOT NULL,
  data bytea NOT NULL
);

-- Facts that were handled: the effect and this row are one transaction.
CREATE TABLE inbox (
  event_id uuid NOT NULL,
  group_name text COLLATE "C" NOT NULL,
  -- Empty: not a replay.
  replay_id text COLLATE "C" NOT NULL,
  handle_time timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (event_id, group_name, replay_id)
);
CREATE INDEX inbox_age ON inbox (handle_time);

-- Answers of safe writes (AIP-155), given again when the request comes again.
CREATE TABLE stored_answer (
  actor text COLLATE "C" NOT NULL,
  method text COLLATE "C" NOT NULL,
  request_id uuid NOT NULL,
  -- SHA-256 over the request without its sensitive fields.
  request_hash bytea NOT NULL,
  -- The answer as protobuf, without its sensitive fields. Only the transaction that makes the row sees it empty.
  answer bytea,
  -- By the clock of the service, as Unix milliseconds.
  expire_time bigint NOT NULL,
  PRIMARY KEY (actor, method, request_id)
);
CREATE INDEX stored_answer_age ON stored_answer (expire_time);

DO $$ BEGIN
  EXECUTE format('GRANT SELECT, INSERT, DELETE ON outbox, inbox TO %I', current_schema());
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON stored_answer TO %I', current_schema());
END $$;
