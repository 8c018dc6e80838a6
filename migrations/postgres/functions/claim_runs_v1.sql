-- Takes those of the runs that are ready and free. p_known: revisions whose state the caller still holds.
-- The state is read by a second statement: the snapshot of the first may be older than the head it locked.
CREATE FUNCTION claim_runs_v1(p_now timestamptz, p_session bigint, p_run uuid[], p_plane int[], p_known int[])
RETURNS TABLE (o_run uuid, o_plane int, o_epoch bigint, o_mail_in bigint, o_crashes smallint, o_pool text,
  o_rev int, o_last_seq bigint, o_workflow text, o_actor text, o_session text, o_parent uuid,
  o_created timestamptz, o_bundle text, o_status text, o_node text, o_wait_reason text, o_wait_key text,
  o_wait_until timestamptz, o_paused boolean, o_error text, o_lifecycle text, o_steps int, o_llm int, o_tool int,
  o_tokens bigint, o_updated timestamptz, o_is_known boolean, o_wait text, o_vars text, o_meta text, o_output text)
LANGUAGE plpgsql
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET jit = off
AS $$
DECLARE
  v_now timestamptz := coalesce(p_now, clock_timestamp());
  v_run uuid[];
  v_plane int[];
  v_known int[];
BEGIN
  -- A lost claim loses nothing: the fence is the pair (session, epoch).
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM 1 FROM runner_sessions s WHERE s.session_id = p_session AND NOT s.dead AND s.expires_at > v_now
    FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'session lost' USING ERRCODE = 'AG001';
  END IF;
  SELECT array_agg(p.run), array_agg(p.plane), array_agg(p.known) INTO v_run, v_plane, v_known FROM (
    SELECT DISTINCT ON (c.run, c.plane) c.run, c.plane, c.known
    FROM unnest(p_run, p_plane, p_known) c(run, plane, known) ORDER BY c.run, c.plane) p
  CROSS JOIN LATERAL (SELECT FROM run_heads h
    WHERE h.run_id = p.run AND h.plane_id = p.plane
      AND h.owner IS NULL AND coalesce(h.ready_at, 'infinity') < 'infinity'
    FOR UPDATE SKIP LOCKED) locked;
  IF v_run IS NULL THEN
    RETURN;
  END IF;
  UPDATE run_heads h SET owner = p_session, epoch = h.epoch + 1, ready_at = NULL, wake_at = NULL, preempt_at = NULL
  FROM unnest(v_run, v_plane) k(run, plane)
  CROSS JOIN LATERAL (SELECT d.ctid AS place FROM run_heads d
    WHERE d.run_id = k.run AND d.plane_id = k.plane OFFSET 0) x
  WHERE h.ctid = x.place;

  RETURN QUERY
  SELECT h.run_id, h.plane_id, h.epoch, h.mail_in, h.crashes, h.pool, r.rev, r.last_seq,
    r.workflow_id, r.actor_id, r.session_id, r.parent_run_id, r.created_at, r.bundle_sha256,
    r.status, r.current_node, r.wait_reason, r.wait_key, r.wait_until, r.paused, r.error, r.lifecycle,
    r.steps, r.llm_calls, r.tool_calls, r.tokens_total, r.updated_at, coalesce(r.rev = k.known, false),
    CASE WHEN r.rev IS DISTINCT FROM k.known THEN r.wait END,
    CASE WHEN r.rev IS DISTINCT FROM k.known THEN r.vars END,
    CASE WHEN r.rev IS DISTINCT FROM k.known THEN r.meta END,
    CASE WHEN r.rev IS DISTINCT FROM k.known THEN r.output END
  FROM unnest(v_run, v_plane, v_known) k(run, plane, known)
  CROSS JOIN LATERAL (SELECT * FROM run_heads d WHERE d.run_id = k.run AND d.plane_id = k.plane OFFSET 0) h
  CROSS JOIN LATERAL (SELECT * FROM runs d WHERE d.run_id = k.run AND d.plane_id + 0 = k.plane OFFSET 0) r;
END $$;
