-- What a group gets outside of its turn: retries, what they hold back, replays, and dead letters.

-- An event failed: it waits for its next attempt (100 ms, doubled each time, at most 30 s), with the later events of its
-- key that the member had taken behind it; after p_max_attempts it becomes a dead letter. Returns in how many
-- milliseconds it is due, NULL for a dead letter; no row where the member lost the partition.
CREATE FUNCTION fail(
  p_group text, p_member integer, p_topic text, p_partition smallint, p_offset bigint, p_replay_id text,
  p_error text, p_max_attempts integer, p_behind bigint[]
) RETURNS TABLE (due_in_ms integer) LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
  v_failed waiting;
BEGIN
  PERFORM FROM share
  WHERE owner = session_user AND group_name = p_group AND topic = p_topic AND partition = p_partition
    AND member_id = p_member FOR SHARE;
  IF NOT FOUND THEN RETURN; END IF;
  INSERT INTO waiting AS w (owner, group_name, topic, partition, key, "offset", replay_id, attempts)
  SELECT session_user, p_group, e.topic, e.partition, e.key, e."offset", p_replay_id, 1 FROM event e
  WHERE e.topic = p_topic AND e.partition = p_partition AND e."offset" = p_offset
  ON CONFLICT (owner, group_name, topic, partition, key, "offset", replay_id) DO UPDATE SET attempts = w.attempts + 1
  RETURNING * INTO v_failed;
  IF v_failed.waiting_id IS NULL THEN RETURN; END IF;
  INSERT INTO waiting (owner, group_name, topic, partition, key, "offset")
  SELECT session_user, p_group, p_topic, p_partition, v_failed.key, behind FROM unnest(p_behind) AS behind
  ON CONFLICT DO NOTHING;
  IF v_failed.attempts < p_max_attempts THEN
    due_in_ms := least(30000, 100 * 2 ^ least(v_failed.attempts - 1, 20));
    UPDATE waiting SET due_time = clock_timestamp() + due_in_ms * interval '1 ms' WHERE waiting_id = v_failed.waiting_id;
  ELSE
    INSERT INTO dead_letter (owner, group_name, attempts, error, replay_id, topic, partition, "offset",
      event_id, type, key, time, actor, traceparent, data, store_time)
    SELECT session_user, p_group, v_failed.attempts, p_error, p_replay_id, e.topic, e.partition, e."offset",
      e.event_id, e.type, e.key, e.time, e.actor, e.traceparent, e.data, e.store_time
    FROM event e WHERE e.topic = p_topic AND e.partition = p_partition AND e."offset" = p_offset;
    DELETE FROM waiting WHERE waiting_id = v_failed.waiting_id;
  END IF;
  RETURN NEXT;
END $$;

-- Events come behind others of their keys that wait already.
CREATE FUNCTION hold_back(p_group text, p_member integer, p_topics text[], p_partitions smallint[], p_offsets bigint[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = bus, pg_temp
BEGIN ATOMIC
  INSERT INTO waiting (owner, group_name, topic, partition, key, "offset")
  SELECT session_user, p_group, e.topic, e.partition, e.key, e."offset"
  FROM unnest(p_topics, p_partitions, p_offsets) AS held (topic, partition, "offset")
  JOIN event e ON e.topic = held.topic AND e.partition = held.partition AND e."offset" = held."offset"
  JOIN share s ON s.owner = session_user AND s.group_name = p_group AND s.member_id = p_member
    AND s.topic = e.topic AND s.partition = e.partition
  ON CONFLICT DO NOTHING;
END;

-- What waits in the member's partitions and may be tried now, of each key in its order: up to p_limit and about 8 MiB.
CREATE FUNCTION due(p_group text, p_member integer, p_taken bigint[], p_limit integer)
RETURNS TABLE (
  waiting_id bigint, replay_id text, attempts integer,
  topic text, partition smallint, "offset" bigint, event_id text, type text, key text, "time" text, actor text,
  traceparent text, data bytea
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp
BEGIN ATOMIC
  SELECT found.waiting_id, found.replay_id, found.attempts, found.topic, found.partition, found."offset", found.event_id,
    found.type, found.key, found."time", found.actor, found.traceparent, found.data
  FROM (
    SELECT ready.waiting_id, ready.replay_id, ready.attempts, e.*, octet_length(e.data) AS size,
      sum(octet_length(e.data)) OVER (ORDER BY e.topic, e.partition, e.key, e."offset", ready.replay_id) AS running
    FROM (
      SELECT w.* FROM waiting w
      JOIN share s ON s.owner = w.owner AND s.group_name = w.group_name AND s.topic = w.topic AND s.partition = w.partition
      WHERE w.owner = session_user AND w.group_name = p_group AND s.member_id = p_member
        AND w.waiting_id <> ALL (p_taken)
        AND NOT EXISTS (
          SELECT FROM waiting d
          WHERE d.owner = w.owner AND d.group_name = w.group_name AND d.topic = w.topic AND d.partition = w.partition
            AND d.key = w.key AND d.attempts > 0 AND d.due_time > clock_timestamp())
      ORDER BY w.topic, w.partition, w.key, w."offset", w.replay_id LIMIT p_limit
    ) AS ready
    JOIN event e ON e.topic = ready.topic AND e.partition = ready.partition AND e."offset" = ready."offset"
  ) AS found
  WHERE found.running - found.size < 8 * 1024 * 1024
  ORDER BY found.topic, found.partition, found.key, found."offset", found.replay_id;
END;

-- Waiting events were handled.
CREATE FUNCTION settle(p_group text, p_waiting bigint[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = bus, pg_temp
BEGIN ATOMIC
  DELETE FROM waiting WHERE owner = session_user AND group_name = p_group AND waiting_id = ANY (p_waiting);
END;

-- The dead letters of a group of the caller, oldest first.
CREATE FUNCTION list_dead_letters(p_group text, p_limit integer)
RETURNS TABLE (
  dead_letter_id uuid, attempts integer, error text, bury_time_ms double precision,
  topic text, event_id text, type text, key text, "time" text, actor text, traceparent text, data bytea
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp
BEGIN ATOMIC
  SELECT d.dead_letter_id, d.attempts, d.error, floor(extract(epoch FROM d.bury_time) * 1000)::double precision,
    d.topic, d.event_id, d.type, d.key, d."time", d.actor, d.traceparent, d.data
  FROM dead_letter d WHERE d.owner = session_user AND d.group_name = p_group
  ORDER BY d.bury_time, d.dead_letter_id LIMIT p_limit;
END;

-- Gives a dead letter to its group again. An event that was purged meanwhile is put back.
CREATE FUNCTION redrive(p_group text, p_dead_letter uuid)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
  v_letter dead_letter;
BEGIN
  DELETE FROM dead_letter WHERE dead_letter_id = p_dead_letter AND owner = session_user AND group_name = p_group
  RETURNING * INTO v_letter;
  IF v_letter.dead_letter_id IS NULL THEN RETURN false; END IF;
  INSERT INTO event (topic, partition, "offset", event_id, type, key, time, actor, traceparent, data, store_time)
  VALUES (v_letter.topic, v_letter.partition, v_letter."offset", v_letter.event_id, v_letter.type, v_letter.key,
    v_letter.time, v_letter.actor, v_letter.traceparent, v_letter.data, v_letter.store_time)
  ON CONFLICT DO NOTHING;
  INSERT INTO waiting (owner, group_name, topic, partition, key, "offset", replay_id)
  VALUES (session_user, p_group, v_letter.topic, v_letter.partition, v_letter.key, v_letter."offset", v_letter.replay_id)
  ON CONFLICT DO NOTHING;
  PERFORM pg_notify('bus_group', session_user || '/' || p_group);
  RETURN true;
END $$;

-- Gives a group of the caller the events that were published into a topic in a time span, by this server's clock.
CREATE FUNCTION replay(p_group text, p_topic text, p_from_ms double precision, p_to_ms double precision)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
  v_replay_id CONSTANT text := gen_random_uuid();
BEGIN
  INSERT INTO waiting (owner, group_name, topic, partition, key, "offset", replay_id)
  SELECT session_user, p_group, e.topic, e.partition, e.key, e."offset", v_replay_id FROM event e
  WHERE e.topic = p_topic
    AND e.store_time >= to_timestamp(p_from_ms / 1000) AND e.store_time < to_timestamp(p_to_ms / 1000);
  PERFORM pg_notify('bus_group', session_user || '/' || p_group);
  RETURN v_replay_id;
END $$;

GRANT EXECUTE ON FUNCTION fail, hold_back, due, settle, list_dead_letters, redrive, replay TO switchboard_service;
