-- Groups: who takes part, who reads which partition, how far they came. A group belongs to the service that called `join_group`.

-- Takes part in a group; to be called on the connection whose life is the member's. Returns the member's id.
CREATE FUNCTION join_group(p_group text, p_topics text[])
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
  v_member integer;
BEGIN
  INSERT INTO consumer_group AS g (owner, group_name, topics) VALUES (session_user, p_group, p_topics)
  ON CONFLICT (owner, group_name) DO UPDATE SET topics = excluded.topics WHERE g.topics IS DISTINCT FROM excluded.topics;
  INSERT INTO member (owner, group_name, topics) VALUES (session_user, p_group, p_topics) RETURNING member_id INTO v_member;
  PERFORM pg_advisory_lock(7733, v_member);
  RETURN v_member;
END $$;

-- Who takes part and lives: a session that ended, however it did, no longer holds its lock.
CREATE VIEW live_member AS
SELECT m.* FROM member m
JOIN pg_locks l ON l.locktype = 'advisory' AND l.classid = 7733 AND l.objid = m.member_id::oid AND l.objsubid = 2
  AND l.granted AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());

-- Spreads the partitions over the living members and gives the caller those of its own that nobody holds. Returns what
-- it holds; `keep` false: it is another member's turn, so finish what is under way and call give_share.
-- Returns nothing for a member that is dead.
CREATE FUNCTION balance(p_group text, p_member integer)
RETURNS TABLE (topic text, partition smallint, next_offset bigint, keep boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_owner CONSTANT text := session_user;
  v_live integer[];
BEGIN
  PERFORM pg_advisory_xact_lock(7734, hashtext(v_owner || '/' || p_group));
  v_live := ARRAY(SELECT member_id FROM live_member WHERE owner = v_owner AND group_name = p_group);
  DELETE FROM member WHERE owner = v_owner AND group_name = p_group AND member_id <> ALL (v_live);
  INSERT INTO share (owner, group_name, topic, partition, next_offset)
  SELECT v_owner, p_group, p.topic, p.partition, p.purged_offset + 1 FROM partition p
  WHERE EXISTS (SELECT FROM member m WHERE m.member_id = ANY (v_live) AND (m.topics IS NULL OR p.topic = ANY (m.topics)))
    AND NOT EXISTS (
      SELECT FROM share s
      WHERE s.owner = v_owner AND s.group_name = p_group AND s.topic = p.topic AND s.partition = p.partition);
  RETURN QUERY
  WITH target AS (
    SELECT s.topic, s.partition, s.member_id AS holder, able.members[1 + s.partition % cardinality(able.members)] AS chosen
    FROM share s
    CROSS JOIN LATERAL (
      SELECT array_agg(m.member_id ORDER BY m.member_id) AS members FROM member m
      WHERE m.member_id = ANY (v_live) AND (m.topics IS NULL OR s.topic = ANY (m.topics))
    ) AS able
    WHERE s.owner = v_owner AND s.group_name = p_group
  ), taken AS (
    UPDATE share s SET member_id = p_member FROM target t
    WHERE s.owner = v_owner AND s.group_name = p_group AND s.topic = t.topic AND s.partition = t.partition
      AND t.chosen = p_member AND p_member = ANY (v_live)
      AND (t.holder IS NULL OR t.holder <> ALL (v_live))
    RETURNING s.topic, s.partition, s.next_offset
  )
  SELECT taken.topic, taken.partition, taken.next_offset, true FROM taken
  UNION ALL
  SELECT s.topic, s.partition, s.next_offset, t.chosen = p_member
  FROM share s JOIN target t USING (topic, partition)
  WHERE s.owner = v_owner AND s.group_name = p_group AND t.holder = p_member AND p_member = ANY (v_live);
END $$;

-- Frees partitions for the member whose turn it is.
CREATE FUNCTION give_share(p_group text, p_member integer, p_topics text[], p_partitions smallint[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
  UPDATE share s SET member_id = NULL FROM unnest(p_topics, p_partitions) AS given (topic, partition)
  WHERE s.owner = session_user AND s.group_name = p_group AND s.member_id = p_member
    AND s.topic = given.topic AND s.partition = given.partition;
  PERFORM pg_notify('bus_group', session_user || '/' || p_group);
END $$;

-- Frees everything; to be called on the member's own connection.
CREATE FUNCTION leave_group(p_group text, p_member integer)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
  UPDATE share SET member_id = NULL WHERE owner = session_user AND group_name = p_group AND member_id = p_member;
  DELETE FROM member WHERE owner = session_user AND group_name = p_group AND member_id = p_member;
  PERFORM pg_advisory_unlock(7733, p_member);
  PERFORM pg_notify('bus_group', session_user || '/' || p_group);
END $$;

-- Events before these offsets are done. Partitions that the member lost are left alone. A crash that takes the last of
-- these brings events again, so it need not wait for the disk.
CREATE FUNCTION advance(p_group text, p_member integer, p_topics text[], p_partitions smallint[], p_offsets bigint[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE share s SET next_offset = done.next_offset
  FROM unnest(p_topics, p_partitions, p_offsets) AS done (topic, partition, next_offset)
  WHERE s.owner = session_user AND s.group_name = p_group AND s.member_id = p_member
    AND s.topic = done.topic AND s.partition = done.partition AND s.next_offset < done.next_offset;
END $$;

-- How many events a group has still before it: those it has not read and those that wait for a retry.
CREATE FUNCTION lag(p_group text) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp
BEGIN ATOMIC
  SELECT coalesce((
    SELECT sum(p.last_offset - greatest(coalesce(s.next_offset - 1, 0), p.purged_offset))
    FROM consumer_group g
    JOIN partition p ON g.topics IS NULL OR p.topic = ANY (g.topics)
    LEFT JOIN share s ON s.owner = g.owner AND s.group_name = g.group_name AND s.topic = p.topic AND s.partition = p.partition
    WHERE g.owner = session_user AND g.group_name = p_group
  ), 0)::bigint + (
    SELECT count(*) FROM waiting w WHERE w.owner = session_user AND w.group_name = p_group);
END;

GRANT EXECUTE ON FUNCTION join_group, balance, give_share, leave_group, advance, bus.lag TO switchboard_service;
