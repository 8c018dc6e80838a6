-- Commands of one plane with their mail, each answered alone: 'accepted', 'duplicate', 'stale' (o_seq where there is
-- one); further rows name the runs that became ready ('woken') and the sessions that hold a cancelled run ('preempt').
CREATE FUNCTION post_commands_v1(p_now timestamptz, p_plane int,
    p_command text[], p_run text[], p_type text[], p_payload text[], p_client text[], p_ts text[],
    p_at timestamptz[], p_outcome text[],
    t_ix int[], t_run uuid[], t_kind text[], t_body text[])
RETURNS TABLE (o_ix int, o_what text, o_seq bigint, o_target uuid, o_pool text, o_owner bigint)
LANGUAGE plpgsql
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET jit = off
AS $$
DECLARE
  v_now timestamptz;
  v_seq bigint;
  v_stored bigint[];
  v_stale int[] := '{}';
  v_new int[];
  v_live uuid[];
  v_run uuid[];
  v_pool text[];
  v_owner bigint[];
BEGIN
  SELECT p.command_seq INTO v_seq FROM planes p WHERE p.plane_id = p_plane FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'unknown plane' USING ERRCODE = 'foreign_key_violation';
  END IF;
  SELECT array_agg(c.seq ORDER BY i.ix) INTO v_stored
  FROM unnest(p_command) WITH ORDINALITY i(command, ix)
  LEFT JOIN commands c ON c.plane_id = p_plane AND c.command_id = i.command;

  SELECT coalesce(array_agg(k.run), '{}') INTO v_live FROM (SELECT DISTINCT t.run FROM unnest(t_run) t(run) ORDER BY 1) k
  CROSS JOIN LATERAL (SELECT FROM run_heads h WHERE h.run_id = k.run AND h.plane_id = p_plane FOR UPDATE) locked;
  v_now := coalesce(p_now, clock_timestamp());

  SELECT coalesce(array_agg(DISTINCT t.ix), '{}') INTO v_stale FROM unnest(t_ix, t_run, t_kind) t(ix, run, kind)
  WHERE t.kind IN ('pause', 'unpause', 'cancel') AND p_outcome[t.ix] IS NULL
    AND t.run <> ALL (v_live);
  -- An id twice in the batch counts once.
  SELECT coalesce(array_agg(f.ix ORDER BY f.ix), '{}') INTO v_new FROM (
    SELECT min(i.ix)::int AS ix FROM unnest(p_command) WITH ORDINALITY i(command, ix)
    WHERE v_stored[i.ix] IS NULL AND i.ix <> ALL (v_stale) GROUP BY i.command) f;

  IF cardinality(v_new) > 0 THEN
    UPDATE planes p SET command_seq = v_seq + cardinality(v_new) WHERE p.plane_id = p_plane;
    INSERT INTO commands (plane_id, command_id, seq, run_id, type, payload, client_id, ts, created_at, outcome)
    SELECT p_plane, p_command[n.ix], v_seq + n.o, p_run[n.ix], p_type[n.ix], p_payload[n.ix], p_client[n.ix],
      p_ts[n.ix], p_at[n.ix], coalesce(p_outcome[n.ix], CASE
        WHEN n.ix = ANY (t_ix) AND NOT EXISTS (
          SELECT FROM unnest(t_ix, t_run) t(ix, run) WHERE t.ix = n.ix AND t.run = ANY (v_live)) THEN 'run has ended' END)
    FROM unnest(v_new) WITH ORDINALITY n(ix, o);

    SELECT array_agg(s.o_run), array_agg(s.o_pool), array_agg(s.o_owner) INTO v_run, v_pool, v_owner FROM (
      SELECT array_agg(t.run ORDER BY t.o) AS run, array_agg(p_plane) AS plane, array_agg(t.kind ORDER BY t.o) AS kind,
        array_agg(t.body ORDER BY t.o) AS body, array_agg(p_command[t.ix] ORDER BY t.o) AS command
      FROM unnest(t_ix, t_run, t_kind, t_body) WITH ORDINALITY t(ix, run, kind, body, o)
      WHERE t.ix = ANY (v_new) AND p_outcome[t.ix] IS NULL HAVING count(*) > 0) a,
      LATERAL send_mail_v1(v_now, a.run, a.plane, a.kind, a.body, a.command) s;

    UPDATE run_heads h SET preempt_at = least(h.preempt_at, v_now + interval '1500 milliseconds')
    FROM (SELECT DISTINCT t.run FROM unnest(t_ix, t_run, t_kind) t(ix, run, kind)
      WHERE t.kind = 'cancel' AND t.ix = ANY (v_new) AND p_outcome[t.ix] IS NULL) c
    CROSS JOIN LATERAL (SELECT d.ctid AS place FROM run_heads d
      WHERE d.run_id = c.run AND d.plane_id = p_plane OFFSET 0) x
    WHERE h.ctid = x.place AND coalesce(h.owner, -1) <> -1;
  END IF;

  RETURN QUERY
  SELECT i.ix::int, CASE WHEN i.ix = ANY (v_new) THEN 'accepted'
      WHEN v_stored[i.ix] IS NULL AND i.ix = ANY (v_stale) THEN 'stale' ELSE 'duplicate' END,
    coalesce(v_stored[i.ix], v_seq + (SELECT n.o FROM unnest(v_new) WITH ORDINALITY n(ix, o)
      WHERE p_command[n.ix] = i.command)), NULL::uuid, NULL::text, NULL::bigint
  FROM unnest(p_command) WITH ORDINALITY i(command, ix);
  RETURN QUERY
  SELECT t.ix, CASE WHEN w.owner IS NULL THEN 'woken' ELSE 'preempt' END, NULL::bigint, t.run, w.pool, w.owner
  FROM unnest(t_ix, t_run, t_kind) WITH ORDINALITY t(ix, run, kind, o)
  JOIN unnest(v_run, v_pool, v_owner) w(run, pool, owner) ON w.run = t.run
  WHERE t.ix = ANY (v_new) AND p_outcome[t.ix] IS NULL AND (w.owner IS NULL OR t.kind = 'cancel')
  ORDER BY t.o;
END $$;
