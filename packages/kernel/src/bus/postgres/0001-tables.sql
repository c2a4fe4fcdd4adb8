-- The bus in PostgreSQL: topics of 16 partitions, groups that read them, what waits for a retry, what was given up.
-- Nobody reaches a table; 0002-…sql has the functions that services may call.

-- One row a topic and partition; its lock gives out the offsets, so that they become visible in their order.
CREATE TABLE partition (
  topic text COLLATE "C" NOT NULL,
  partition smallint NOT NULL,
  last_offset bigint NOT NULL DEFAULT 0,
  -- Events up to here were purged.
  purged_offset bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (topic, partition)
);

CREATE TABLE event (
  topic text COLLATE "C" NOT NULL,
  partition smallint NOT NULL,
  "offset" bigint NOT NULL,
  event_id text NOT NULL,
  type text NOT NULL,
  key text COLLATE "C" NOT NULL,
  time text NOT NULL,
  actor text NOT NULL,
  traceparent text NOT NULL,
  data bytea NOT NULL,
  -- When it was published, by this server's clock.
  store_time timestamptz NOT NULL,
  PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX event_age ON event (topic, store_time);

-- `owner` is the service that consumes: groups of different services never meet.
CREATE TABLE consumer_group (
  owner text COLLATE "C" NOT NULL,
  group_name text COLLATE "C" NOT NULL,
  -- What its latest member reads. NULL: every topic.
  topics text[] COLLATE "C",
  PRIMARY KEY (owner, group_name)
);

-- An instance that takes part in a group. It lives as long as its session holds the advisory lock (7733, member_id).
CREATE TABLE member (
  member_id integer GENERATED ALWAYS AS IDENTITY (CYCLE) PRIMARY KEY,
  owner text COLLATE "C" NOT NULL,
  group_name text COLLATE "C" NOT NULL,
  topics text[] COLLATE "C"
);

-- How far a group has come in a partition, and which member reads it.
CREATE TABLE share (
  owner text COLLATE "C" NOT NULL,
  group_name text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition smallint NOT NULL,
  next_offset bigint NOT NULL DEFAULT 1,
  member_id integer,
  PRIMARY KEY (owner, group_name, topic, partition)
);

-- Events that a group gets outside of its turn: those that failed, those of the same key behind them, those of a replay.
-- Of one key the order is that of the offsets.
CREATE TABLE waiting (
  waiting_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner text COLLATE "C" NOT NULL,
  group_name text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition smallint NOT NULL,
  key text COLLATE "C" NOT NULL,
  "offset" bigint NOT NULL,
  replay_id text COLLATE "C" NOT NULL DEFAULT '',
  -- How often it failed.
  attempts integer NOT NULL DEFAULT 0,
  due_time timestamptz NOT NULL DEFAULT now(),
  UNIQUE (owner, group_name, topic, partition, key, "offset", replay_id)
);
-- Keys that wait for the time of their next attempt.
CREATE INDEX waiting_delayed ON waiting (owner, group_name, topic, partition, key, due_time) WHERE attempts > 0;
-- What the purge must leave.
CREATE INDEX waiting_event ON waiting (topic, partition, "offset");

-- A copy, so that it outlives the event.
CREATE TABLE dead_letter (
  dead_letter_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  owner text COLLATE "C" NOT NULL,
  group_name text COLLATE "C" NOT NULL,
  attempts integer NOT NULL,
  error text NOT NULL,
  bury_time timestamptz NOT NULL DEFAULT now(),
  replay_id text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition smallint NOT NULL,
  "offset" bigint NOT NULL,
  event_id text NOT NULL,
  type text NOT NULL,
  key text COLLATE "C" NOT NULL,
  time text NOT NULL,
  actor text NOT NULL,
  traceparent text NOT NULL,
  data bytea NOT NULL,
  store_time timestamptz NOT NULL
);
CREATE INDEX dead_letter_order ON dead_letter (owner, group_name, bury_time, dead_letter_id);
