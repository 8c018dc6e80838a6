-- Starts, each answered alone: 'created' (now or by an earlier attempt), 'existing' (o_run), 'conflict', 'generation',
-- 'stale', or 'retry' where a key vanished under our hands. Arrays by prefix: p one per start, r runs, c their state,
-- l segments, m mail; *_ix is the position of the start.
-- Here keys are found by their key alone: the first form could be planned to read all keys of a plane.
CREATE OR REPLACE FUNCTION start_runs_v1(p_now timestamptz,
    p_plane int[], p_root uuid[], p_key text[], p_body bytea[], p_expires timestamptz[], p_generation bigint[],
    p_at timestamptz[],
    r_ix int[], r_run uuid[], r_parent uuid[], r_workflow text[], r_actor text[], r_session text[], r_bundle text[],
    r_created timestamptz[], r_pool text[], r_place text[], r_owner bigint[], r_epoch bigint[], r_wake timestamptz[],
    r_last_seq bigint[],
    c_status text[], c_node text[], c_wait_reason text[], c_wait_key text[], c_wait_until timestamptz[],
    c_paused boolean[], c_error text[], c_lifecycle text[], c_steps int[], c_llm int[], c_tool int[], c_tokens bigint[],
    c_updated timestamptz[], c_wait text[], c_vars text[], c_meta text[], c_output text[],
    l_ix int[], l_run uuid[], l_first bigint[], l_last bigint[], l_records text[],
    m_ix int[], m_run uuid[], m_kind text[], m_body text[], m_command text[],
    p_more json)
RETURNS TABLE (o_ix int, o_outcome text, o_run uuid)
LANGUAGE plpgsql
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET jit = off
AS $$
DECLARE
  v_now timestamptz := coalesce(p_now, clock_timestamp());
  v_out text[];
  v_found uuid[];
  v_stale int[] := '{}';
  v_alive bigint[] := '{}';
  v_run uuid[];
  v_plane int[];
BEGIN
  -- 1 heads of the mail's targets, in one order
  IF cardinality(m_run) > 0 THEN
    PERFORM 1 FROM (
        SELECT DISTINCT m.run, p_plane[m.ix] AS plane FROM unnest(m_ix, m_run) m(ix, run) ORDER BY 1, 2) k
      CROSS JOIN LATERAL (SELECT FROM run_heads h WHERE h.run_id = k.run AND h.plane_id = k.plane FOR UPDATE) locked;
    SELECT coalesce(array_agg(DISTINCT m.ix), '{}') INTO v_stale
    FROM unnest(m_ix, m_run, m_kind) m(ix, run, kind)
    WHERE m.kind IN ('pause', 'unpause', 'cancel')
      AND NOT EXISTS (SELECT FROM run_heads h WHERE h.run_id = m.run AND h.plane_id = p_plane[m.ix])
      AND NOT EXISTS (SELECT FROM unnest(r_ix, r_run, r_place) n(ix, run, place)
        WHERE n.ix = m.ix AND n.run = m.run AND n.place <> 'terminal');
  END IF;

  -- 2 what each start is
  SELECT array_agg(CASE
      WHEN k.body_sha256 <> i.body THEN 'conflict'
      WHEN k.run_id <> i.root THEN 'existing'
      WHEN r.run_id IS NOT NULL THEN 'created'
      WHEN i.generation <> p.generation THEN 'generation'
      WHEN i.ix = ANY (v_stale) THEN 'stale'
    END ORDER BY i.ix), array_agg(k.run_id ORDER BY i.ix)
  INTO v_out, v_found
  FROM unnest(p_plane, p_root, p_key, p_body, p_expires, p_generation)
    WITH ORDINALITY i(plane, root, key, body, expires, generation, ix)
  JOIN planes p ON p.plane_id = i.plane
  LEFT JOIN LATERAL (SELECT d.run_id, d.body_sha256, d.created_at FROM start_keys d
    WHERE i.key IS NOT NULL AND d.plane_id = i.plane AND d.key = i.key OFFSET 0) k ON k.created_at >= i.expires
  LEFT JOIN runs r ON r.run_id = i.root AND r.plane_id + 0 = i.plane;
  IF cardinality(v_out) IS DISTINCT FROM cardinality(p_plane) THEN
    RAISE EXCEPTION 'unknown plane' USING ERRCODE = 'foreign_key_violation';
  END IF;

  -- 3 keys, in one order; who inserts first wins
  IF EXISTS (SELECT FROM unnest(p_key) WITH ORDINALITY i(key, ix) WHERE i.key IS NOT NULL AND v_out[i.ix] IS NULL) THEN
    DELETE FROM start_keys k WHERE k.ctid = ANY (ARRAY (
      SELECT x.ctid FROM unnest(p_plane, p_key, p_expires) WITH ORDINALITY i(plane, key, expires, ix)
      CROSS JOIN LATERAL (SELECT d.ctid, d.created_at FROM start_keys d
        WHERE d.plane_id = i.plane AND d.key = i.key FOR UPDATE) x
      WHERE v_out[i.ix] IS NULL AND x.created_at < i.expires));
    INSERT INTO start_keys (plane_id, key, body_sha256, run_id, created_at)
    SELECT i.plane, i.key, i.body, i.root, i.at
    FROM unnest(p_plane, p_key, p_body, p_root, p_at) WITH ORDINALITY i(plane, key, body, root, at, ix)
    WHERE i.key IS NOT NULL AND v_out[i.ix] IS NULL ORDER BY i.plane, i.key, i.ix
    ON CONFLICT DO NOTHING;
    SELECT array_agg(CASE
        WHEN v_out[i.ix] IS NOT NULL OR i.key IS NULL OR k.run_id = i.root THEN v_out[i.ix]
        WHEN k.run_id IS NULL THEN 'retry'
        WHEN k.body_sha256 <> i.body THEN 'conflict'
        ELSE 'existing'
      END ORDER BY i.ix), array_agg(coalesce(v_found[i.ix], k.run_id) ORDER BY i.ix)
    INTO v_out, v_found
    FROM unnest(p_plane, p_key, p_body, p_root) WITH ORDINALITY i(plane, key, body, root, ix)
    LEFT JOIN LATERAL (SELECT d.run_id, d.body_sha256 FROM start_keys d
      WHERE d.plane_id = i.plane AND d.key = i.key OFFSET 0) k ON true;
    -- Nobody needs old keys; a few go with each new one.
    DELETE FROM start_keys k WHERE k.ctid = ANY (ARRAY (
      SELECT o.ctid FROM start_keys o
      WHERE o.plane_id = p_plane[1] AND o.created_at < p_expires[1] ORDER BY o.created_at LIMIT 8
      FOR UPDATE SKIP LOCKED));
  END IF;

  -- 4 runs; a run that is there already is left alone with all that belongs to it
  IF array_position(r_place, 'held') IS NOT NULL THEN
    SELECT coalesce(array_agg(a.session_id), '{}') INTO v_alive FROM (
      SELECT s.session_id FROM runner_sessions s
      WHERE s.session_id = ANY (r_owner) AND NOT s.dead AND s.expires_at > v_now FOR KEY SHARE) a;
  END IF;
  WITH ins AS (
    INSERT INTO runs (run_id, plane_id, status, rev, epoch, last_seq, created_at, updated_at, paused, steps, llm_calls,
      tool_calls, tokens_total, parent_run_id, workflow_id, actor_id, session_id, bundle_sha256, current_node,
      wait_reason, wait_key, wait_until, lifecycle, error, wait, meta, output, vars)
    SELECT i.run, p_plane[i.ix], i.status, 0, CASE WHEN i.owner = ANY (v_alive) THEN i.epoch ELSE 0 END, i.last_seq,
      i.created, i.updated, i.paused, i.steps, i.llm, i.tool, i.tokens, i.parent, i.workflow, i.actor, i.session,
      i.bundle, i.node, i.wait_reason, i.wait_key, i.wait_until, i.lifecycle, i.error, i.wait, i.meta, i.output, i.vars
    FROM unnest(r_ix, r_run, r_parent, r_workflow, r_actor, r_session, r_bundle, r_created, r_owner, r_epoch,
      r_last_seq, c_status, c_node, c_wait_reason, c_wait_key, c_wait_until, c_paused, c_error, c_lifecycle, c_steps,
      c_llm, c_tool, c_tokens, c_updated, c_wait, c_vars, c_meta, c_output)
      i(ix, run, parent, workflow, actor, session, bundle, created, owner, epoch, last_seq, status, node, wait_reason,
        wait_key, wait_until, paused, error, lifecycle, steps, llm, tool, tokens, updated, wait, vars, meta, output)
    WHERE v_out[i.ix] IS NULL
    ON CONFLICT DO NOTHING RETURNING run_id, plane_id)
  SELECT coalesce(array_agg(n.run_id), '{}'), coalesce(array_agg(n.plane_id), '{}') INTO v_run, v_plane FROM ins n;

  INSERT INTO run_heads (run_id, plane_id, pool, owner, epoch, ready_at, wake_at)
  SELECT i.run, n.plane, i.pool, CASE WHEN i.owner = ANY (v_alive) THEN i.owner END,
    CASE WHEN i.owner = ANY (v_alive) THEN i.epoch ELSE 0 END,
    CASE WHEN i.place = 'ready' OR i.place = 'held' AND i.owner <> ALL (v_alive) THEN v_now END, i.wake
  FROM unnest(v_run, v_plane) n(run, plane)
  JOIN unnest(r_ix, r_run, r_pool, r_place, r_owner, r_epoch, r_wake) i(ix, run, pool, place, owner, epoch, wake)
    ON i.run = n.run AND p_plane[i.ix] = n.plane AND v_out[i.ix] IS NULL
  WHERE i.place <> 'terminal';

  IF cardinality(l_run) > 0 THEN
    INSERT INTO ledger (run_id, plane_id, last_seq, first_seq, records)
    SELECT i.run, n.plane, i.last, i.first, i.records
    FROM unnest(v_run, v_plane) n(run, plane)
    JOIN unnest(l_ix, l_run, l_first, l_last, l_records) i(ix, run, first, last, records)
      ON i.run = n.run AND p_plane[i.ix] = n.plane AND v_out[i.ix] IS NULL;
  END IF;

  -- 5 rows beside the runs
  IF p_more IS NOT NULL THEN
    PERFORM write_more_v1(p_more, p_plane,
      (SELECT array_agg(i.ix::int) FROM unnest(v_out) WITH ORDINALITY i(outcome, ix) WHERE i.outcome IS NULL));
  END IF;
  IF cardinality(m_run) > 0 THEN
    PERFORM send_mail_v1(v_now, array_agg(m.run ORDER BY m.o), array_agg(p_plane[m.ix] ORDER BY m.o),
      array_agg(m.kind ORDER BY m.o), array_agg(m.body ORDER BY m.o), array_agg(m.command ORDER BY m.o))
    FROM unnest(m_ix, m_run, m_kind, m_body, m_command) WITH ORDINALITY m(ix, run, kind, body, command, o)
    WHERE v_out[m.ix] IS NULL HAVING count(*) > 0;
  END IF;

  RETURN QUERY SELECT i.ix::int, coalesce(i.outcome, 'created'), v_found[i.ix]
    FROM unnest(v_out) WITH ORDINALITY i(outcome, ix);
END $$;
