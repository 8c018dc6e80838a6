-- Fenced writes, each answered alone: 'ok' (now or by an earlier attempt), 'stale' (nothing written, authority
-- intact), 'lost'. Arrays by prefix: p one per commit, c the new state, l segments (also of children), m mail;
-- *_ix is the position of the commit. p_rest: K keep, W rest, B ready again, T terminal.
-- Here commands are found by their id alone: the first form could be planned to read all commands of a plane.
CREATE OR REPLACE FUNCTION commit_runs_v1(p_now timestamptz,
    p_session bigint[], p_run uuid[], p_plane int[], p_epoch bigint[], p_rev int[], p_rest text[],
    p_wake timestamptz[], p_seen bigint[], p_progress boolean[], p_pool text[], p_last_seq bigint[],
    c_status text[], c_node text[], c_wait_reason text[], c_wait_key text[], c_wait_until timestamptz[],
    c_paused boolean[], c_error text[], c_lifecycle text[], c_steps int[], c_llm int[], c_tool int[], c_tokens bigint[],
    c_updated timestamptz[], c_wait text[], c_vars text[], c_meta text[], c_output text[],
    l_ix int[], l_run uuid[], l_first bigint[], l_last bigint[], l_records text[],
    m_ix int[], m_run uuid[], m_kind text[], m_body text[], m_command text[],
    p_more json)
RETURNS TABLE (o_ix int, o_outcome text, o_mail_in bigint)
LANGUAGE plpgsql
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET jit = off
AS $$
DECLARE
  v_now timestamptz;
  v_fenced int[];
  v_stale int[] := '{}';
  v_ending int[];
  v_ok int[];
  v_alive bigint[] := '{}';
  v_told record;
BEGIN
  -- 1 lock every head touched: ours and our mail's targets, in one order
  PERFORM 1 FROM (
      SELECT a.run, a.plane FROM unnest(p_run, p_plane) a(run, plane)
      UNION SELECT m.run, p_plane[m.ix] FROM unnest(m_ix, m_run) m(ix, run) ORDER BY 1, 2) k
    CROSS JOIN LATERAL (SELECT FROM run_heads h WHERE h.run_id = k.run AND h.plane_id = k.plane FOR UPDATE) locked;
  v_now := coalesce(p_now, clock_timestamp());

  SELECT coalesce(array_agg(f.ix), '{}'), coalesce(array_agg(f.ix) FILTER (WHERE f.rest = 'T' AND f.mail_in > f.seen), '{}'),
    coalesce(array_agg(f.ix) FILTER (WHERE f.rest = 'T' AND f.mail_in <= f.seen), '{}')
  INTO v_fenced, v_stale, v_ending
  FROM (
    SELECT i.ix::int, i.rest, i.seen, h.mail_in
    FROM unnest(p_session, p_run, p_plane, p_epoch, p_rest, p_seen)
      WITH ORDINALITY i(session, run, plane, epoch, rest, seen, ix)
    CROSS JOIN LATERAL (SELECT d.mail_in FROM run_heads d WHERE d.run_id = i.run AND d.plane_id = i.plane
      AND d.epoch = i.epoch AND coalesce(d.owner, -1) = i.session OFFSET 0) h) f;

  -- 1b mail that walks a tree must arrive: else its sender reads the descendants again
  IF m_kind && '{pause,unpause,cancel}' THEN
    SELECT v_stale || coalesce(array_agg(DISTINCT m.ix), '{}') INTO v_stale
    FROM unnest(m_ix, m_run, m_kind) m(ix, run, kind)
    WHERE m.kind IN ('pause', 'unpause', 'cancel') AND (
      EXISTS (SELECT FROM unnest(v_ending) e(ix) WHERE p_run[e.ix] = m.run AND p_plane[e.ix] = p_plane[m.ix])
      OR NOT EXISTS (SELECT FROM run_heads h WHERE h.run_id = m.run AND h.plane_id = p_plane[m.ix])
        AND NOT EXISTS (SELECT FROM json_to_recordset(p_more -> 'runs') n(ix int, run_id uuid, place text)
          WHERE n.ix = m.ix AND n.run_id = m.run AND n.place <> 'terminal'));
  END IF;

  -- 2 fence and state together
  WITH u AS (
    UPDATE runs r SET status = i.status, rev = i.rev + 1, epoch = i.epoch, last_seq = i.last_seq, updated_at = i.updated,
      paused = i.paused, steps = i.steps, llm_calls = i.llm, tool_calls = i.tool, tokens_total = i.tokens,
      current_node = i.node, wait_reason = i.wait_reason, wait_key = i.wait_key, wait_until = i.wait_until,
      lifecycle = i.lifecycle, error = i.error, wait = i.wait, meta = i.meta, output = i.output, vars = i.vars
    FROM unnest(p_run, p_plane, p_epoch, p_rev, p_last_seq, c_status, c_node, c_wait_reason, c_wait_key, c_wait_until,
      c_paused, c_error, c_lifecycle, c_steps, c_llm, c_tool, c_tokens, c_updated, c_wait, c_vars, c_meta, c_output)
      WITH ORDINALITY i(run, plane, epoch, rev, last_seq, status, node, wait_reason, wait_key, wait_until, paused, error,
        lifecycle, steps, llm, tool, tokens, updated, wait, vars, meta, output, ix)
    WHERE i.ix = ANY (v_fenced) AND i.ix <> ALL (v_stale)
      AND r.run_id = i.run AND r.plane_id + 0 = i.plane AND r.rev = i.rev
    RETURNING i.ix::int)
  SELECT coalesce(array_agg(u.ix), '{}') INTO v_ok FROM u;

  -- 3 from here on only for v_ok
  INSERT INTO ledger (run_id, plane_id, last_seq, first_seq, records)
  SELECT i.run, p_plane[i.ix], i.last, i.first, i.records
  FROM unnest(l_ix, l_run, l_first, l_last, l_records) i(ix, run, first, last, records) WHERE i.ix = ANY (v_ok);

  IF p_more IS NOT NULL THEN
    IF p_more -> 'runs' IS NOT NULL THEN
      SELECT coalesce(array_agg(a.session_id), '{}') INTO v_alive FROM (
        SELECT s.session_id FROM runner_sessions s
        WHERE s.session_id = ANY (p_session) AND NOT s.dead AND s.expires_at > v_now FOR KEY SHARE) a;
      INSERT INTO runs (run_id, plane_id, status, rev, epoch, last_seq, created_at, updated_at, paused, steps, llm_calls,
        tool_calls, tokens_total, parent_run_id, workflow_id, actor_id, session_id, bundle_sha256, current_node,
        wait_reason, wait_key, wait_until, lifecycle, error, wait, meta, output, vars)
      SELECT n.run_id, p_plane[n.ix], n.status, 0, CASE WHEN n.owner = ANY (v_alive) THEN n.epoch ELSE 0 END, n.last_seq,
        n.created_at, n.updated_at, n.paused, n.steps, n.llm_calls, n.tool_calls, n.tokens_total, n.parent_run_id,
        n.workflow_id, n.actor_id, n.session_id, n.bundle_sha256, n.current_node, n.wait_reason, n.wait_key, n.wait_until,
        n.lifecycle, n.error, n.wait, n.meta, n.output, n.vars
      FROM json_to_recordset(p_more -> 'runs') n(ix int, run_id uuid, status text, epoch bigint, owner bigint,
        last_seq bigint, created_at timestamptz, updated_at timestamptz, paused boolean, steps int, llm_calls int,
        tool_calls int, tokens_total bigint, parent_run_id uuid, workflow_id text, actor_id text, session_id text,
        bundle_sha256 text, current_node text, wait_reason text, wait_key text, wait_until timestamptz, lifecycle text,
        error text, wait text, meta text, output text, vars text)
      WHERE n.ix = ANY (v_ok);
      INSERT INTO run_heads (run_id, plane_id, pool, owner, epoch, ready_at, wake_at)
      SELECT n.run_id, p_plane[n.ix], n.pool, CASE WHEN n.owner = ANY (v_alive) THEN n.owner END,
        CASE WHEN n.owner = ANY (v_alive) THEN n.epoch ELSE 0 END,
        CASE WHEN n.place = 'ready' OR n.place = 'held' AND n.owner <> ALL (v_alive) THEN v_now END, n.wake_at
      FROM json_to_recordset(p_more -> 'runs')
        n(ix int, run_id uuid, pool text, place text, owner bigint, epoch bigint, wake_at timestamptz)
      WHERE n.ix = ANY (v_ok) AND n.place <> 'terminal';
    END IF;
    -- One by one, by key: several runs may report on one command at the same time, so not by place.
    FOR v_told IN SELECT p_plane[w.ix] AS plane, w.command_id, w.outcome
      FROM json_to_recordset(p_more -> 'outcomes') w(ix int, command_id text, outcome text)
      WHERE w.ix = ANY (v_ok) ORDER BY 1, 2
    LOOP
      UPDATE commands c SET outcome = v_told.outcome
      WHERE c.plane_id = v_told.plane AND c.command_id = v_told.command_id;
    END LOOP;
    PERFORM write_more_v1(p_more, p_plane, v_ok);
  END IF;

  -- By place: a plan made while the table was empty would walk its whole index. The head locks keep the places.
  IF 0 < ANY (p_seen) THEN
    DELETE FROM mail m WHERE m.ctid = ANY (ARRAY (
      SELECT x.ctid FROM unnest(p_run, p_plane, p_seen) WITH ORDINALITY i(run, plane, seen, ix)
      CROSS JOIN LATERAL (SELECT d.ctid FROM mail d
        WHERE d.run_id = i.run AND d.plane_id = i.plane AND d.n <= i.seen OFFSET 0) x
      WHERE i.ix = ANY (v_ok) AND i.seen > 0));
  END IF;

  -- 4 mail out, numbered from the locked heads; none to a run that ends here
  IF cardinality(m_run) > 0 THEN
    PERFORM send_mail_v1(v_now, array_agg(m.run ORDER BY m.o), array_agg(p_plane[m.ix] ORDER BY m.o),
      array_agg(m.kind ORDER BY m.o), array_agg(m.body ORDER BY m.o), array_agg(m.command ORDER BY m.o))
    FROM unnest(m_ix, m_run, m_kind, m_body, m_command) WITH ORDINALITY m(ix, run, kind, body, command, o)
    WHERE m.ix = ANY (v_ok) AND NOT EXISTS (
      SELECT FROM unnest(v_ending) e(ix)
      WHERE e.ix = ANY (v_ok) AND p_run[e.ix] = m.run AND p_plane[e.ix] = p_plane[m.ix])
    HAVING count(*) > 0;
  END IF;

  -- 5 our heads
  DELETE FROM run_heads h USING (
    SELECT x.place FROM unnest(p_run, p_plane, p_rest) WITH ORDINALITY i(run, plane, rest, ix)
    CROSS JOIN LATERAL (SELECT d.ctid AS place FROM run_heads d
      WHERE d.run_id = i.run AND d.plane_id = i.plane OFFSET 0) x
    WHERE i.rest = 'T' AND i.ix = ANY (v_ok)) x
  WHERE h.ctid = x.place;
  UPDATE run_heads h SET pool = coalesce(i.pool, h.pool), crashes = 0,
    owner = CASE WHEN i.rest = 'K' THEN h.owner END,
    preempt_at = CASE WHEN i.rest = 'K' THEN h.preempt_at END,
    wake_at = i.wake,
    ready_at = CASE WHEN i.rest = 'B' OR i.rest = 'W' AND h.mail_in > i.seen THEN v_now END
  FROM unnest(p_run, p_plane, p_rest, p_wake, p_seen, p_progress, p_pool)
    WITH ORDINALITY i(run, plane, rest, wake, seen, progress, pool, ix)
  CROSS JOIN LATERAL (SELECT d.ctid AS place FROM run_heads d
    WHERE d.run_id = i.run AND d.plane_id = i.plane OFFSET 0) x
  WHERE i.ix = ANY (v_ok) AND h.ctid = x.place
    AND (i.rest IN ('W', 'B') OR i.rest = 'K' AND i.progress AND h.crashes <> 0);
  -- A holder that keeps the run may still name another pool; its crash count stays.
  IF array_position(p_rest, 'K') IS NOT NULL AND array_length(array_remove(p_pool, NULL), 1) > 0 THEN
    UPDATE run_heads h SET pool = i.pool
    FROM unnest(p_run, p_plane, p_rest, p_pool) WITH ORDINALITY i(run, plane, rest, pool, ix)
    CROSS JOIN LATERAL (SELECT d.ctid AS place FROM run_heads d
      WHERE d.run_id = i.run AND d.plane_id = i.plane OFFSET 0) x
    WHERE i.rest = 'K' AND i.pool IS NOT NULL AND i.ix = ANY (v_ok) AND h.ctid = x.place;
  END IF;

  RETURN QUERY
  SELECT i.ix::int, 'ok', coalesce(h.mail_in, i.seen)
  FROM unnest(p_run, p_plane, p_seen) WITH ORDINALITY i(run, plane, seen, ix)
  LEFT JOIN run_heads h ON h.run_id = i.run AND h.plane_id = i.plane
  WHERE i.ix = ANY (v_ok);
  IF cardinality(v_ok) < cardinality(p_run) THEN
    -- The same call again after an unknown outcome: it had been applied.
    RETURN QUERY
    SELECT i.ix::int, CASE WHEN r.rev = i.rev + 1 AND r.epoch = i.epoch THEN 'ok'
      WHEN i.ix = ANY (v_stale) AND i.ix = ANY (v_fenced) AND r.rev = i.rev THEN 'stale' ELSE 'lost' END,
      coalesce(h.mail_in, i.seen)
    FROM unnest(p_run, p_plane, p_seen, p_rev, p_epoch) WITH ORDINALITY i(run, plane, seen, rev, epoch, ix)
    LEFT JOIN run_heads h ON h.run_id = i.run AND h.plane_id = i.plane
    LEFT JOIN runs r ON r.run_id = i.run AND r.plane_id + 0 = i.plane
    WHERE i.ix <> ALL (v_ok);
  END IF;
END $$;
