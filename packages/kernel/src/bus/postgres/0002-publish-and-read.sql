-- Publishing and reading. Every function derives the caller from session_user; no argument can name another service.

-- Appends events to the caller's own topic, in the order of the arrays. Offsets are given under the partitions' row locks,
-- which last until the commit: a reader never sees an offset before all lower ones.
CREATE FUNCTION publish(
  p_ids text[], p_types text[], p_keys text[], p_times text[], p_actors text[], p_traceparents text[], p_data text[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
  v_topic CONSTANT text := session_user;
  v_partitions CONSTANT smallint[] := ARRAY(SELECT bus.partition_of(k) FROM unnest(p_keys) WITH ORDINALITY AS u (k, n) ORDER BY n);
BEGIN
  IF NOT EXISTS (SELECT FROM partition WHERE topic = v_topic) THEN
    INSERT INTO partition (topic, partition) SELECT v_topic, p FROM generate_series(0, 15) AS p ORDER BY p
    ON CONFLICT DO NOTHING;
  END IF;
  PERFORM FROM partition WHERE topic = v_topic AND partition = ANY (v_partitions) ORDER BY partition FOR UPDATE;
  INSERT INTO event (topic, partition, "offset", event_id, type, key, time, actor, traceparent, data, store_time)
  SELECT v_topic, u.p, head.last_offset + row_number() OVER (PARTITION BY u.p ORDER BY u.n),
    u.id, u.type, u.key, u.time, u.actor, u.traceparent, decode(u.data, 'base64'), clock_timestamp()
  FROM unnest(v_partitions, p_ids, p_types, p_keys, p_times, p_actors, p_traceparents, p_data)
    WITH ORDINALITY AS u (p, id, type, key, time, actor, traceparent, data, n)
  JOIN partition head ON head.topic = v_topic AND head.partition = u.p;
  UPDATE partition SET last_offset = last_offset + added.count
  FROM (SELECT p, count(*) AS count FROM unnest(v_partitions) AS p GROUP BY p) AS added
  WHERE topic = v_topic AND partition = added.p;
  PERFORM pg_notify('bus', v_topic);
END $$;

-- Independent of the server's version, unlike its own hash functions.
CREATE FUNCTION partition_of(p_key text) RETURNS smallint LANGUAGE sql IMMUTABLE SET search_path = bus, pg_temp
RETURN (get_byte(sha256(convert_to(p_key, 'UTF8')), 0) % 16)::smallint;

-- The end of every partition of some topics (NULL: of all): the offset that the next event gets.
CREATE FUNCTION ends(p_topics text[])
RETURNS TABLE (topic text, partition smallint, next_offset bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp
BEGIN ATOMIC
  SELECT p.topic, p.partition, p.last_offset + 1 FROM partition p WHERE p_topics IS NULL OR p.topic = ANY (p_topics);
END;

-- Events of each partition from an offset on, in their order: about p_limit of them and 8 MiB altogether, at least one.
-- `held_back`: events of the same key wait for a retry in that group of the caller (NULL: no group).
CREATE FUNCTION read(p_group text, p_topics text[], p_partitions smallint[], p_offsets bigint[], p_limit integer)
RETURNS TABLE (
  topic text, partition smallint, "offset" bigint, event_id text, type text, key text, "time" text, actor text,
  traceparent text, data bytea, held_back boolean
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp
BEGIN ATOMIC
  SELECT found.topic, found.partition, found."offset", found.event_id, found.type, found.key, found."time", found.actor,
    found.traceparent, found.data,
    p_group IS NOT NULL AND EXISTS (
      SELECT FROM waiting w
      WHERE w.owner = session_user AND w.group_name = p_group
        AND w.topic = found.topic AND w.partition = found.partition AND w.key = found.key)
  FROM (
    SELECT e.*, octet_length(e.data) AS size,
      sum(octet_length(e.data)) OVER (ORDER BY e.topic, e.partition, e."offset") AS running
    FROM unnest(p_topics, p_partitions, p_offsets) AS wanted (topic, partition, "offset")
    CROSS JOIN LATERAL (
      SELECT * FROM event
      WHERE event.topic = wanted.topic AND event.partition = wanted.partition AND event."offset" >= wanted."offset"
      ORDER BY event."offset" LIMIT greatest(1, p_limit / cardinality(p_topics))
    ) AS e
  ) AS found
  WHERE found.running - found.size < 8 * 1024 * 1024
  ORDER BY found.topic, found.partition, found."offset";
END;

-- Removes up to 10,000 events that are older than 7 days and that nobody has waiting. Returns how many.
CREATE FUNCTION purge() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
  v_count bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7735, 0) THEN RETURN 0; END IF;
  WITH old AS (
    SELECT e.topic, e.partition, e."offset" FROM event e
    WHERE e.store_time < now() - interval '7 days'
      AND NOT EXISTS (
        SELECT FROM waiting w WHERE w.topic = e.topic AND w.partition = e.partition AND w."offset" = e."offset")
    LIMIT 10000
  ), removed AS (
    DELETE FROM event e USING old
    WHERE e.topic = old.topic AND e.partition = old.partition AND e."offset" = old."offset"
    RETURNING e.topic, e.partition, e."offset"
  ), marked AS (
    UPDATE partition p SET purged_offset = greatest(p.purged_offset, last.last_offset)
    FROM (
      SELECT r.topic, r.partition, max(r."offset") AS last_offset FROM removed r GROUP BY r.topic, r.partition
    ) AS last
    WHERE p.topic = last.topic AND p.partition = last.partition
  )
  SELECT count(*) INTO v_count FROM removed;
  RETURN v_count;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bus FROM PUBLIC;
GRANT EXECUTE ON FUNCTION publish, ends, read, purge TO switchboard_service;
