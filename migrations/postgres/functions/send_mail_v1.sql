-- Numbers mail from its targets' heads and makes free targets ready. The caller has locked the heads, in key order;
-- mail to a run without head is dropped. Answers the heads reached. The one place that sends mail: a plane too big
-- for one database would put an outbox here.
-- Here and in the other functions: rows are found by LATERAL with OFFSET 0 and changed by their place (ctid), which the
-- head lock keeps. A plain join lets a plan made on empty tables walk a whole index for each call, for hours.
CREATE FUNCTION send_mail_v1(p_now timestamptz, p_run uuid[], p_plane int[], p_kind text[], p_body text[],
    p_command text[])
RETURNS TABLE (o_run uuid, o_plane int, o_pool text, o_owner bigint)
LANGUAGE plpgsql
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET jit = off
AS $$
BEGIN
  INSERT INTO mail (run_id, plane_id, n, kind, body, command_id)
  SELECT h.run_id, h.plane_id, h.mail_in + row_number() OVER (PARTITION BY h.run_id, h.plane_id ORDER BY m.o),
    m.kind, m.body, m.command
  FROM unnest(p_run, p_plane, p_kind, p_body, p_command) WITH ORDINALITY m(run, plane, kind, body, command, o)
  CROSS JOIN LATERAL (SELECT d.run_id, d.plane_id, d.mail_in FROM run_heads d
    WHERE d.run_id = m.run AND d.plane_id = m.plane OFFSET 0) h;

  RETURN QUERY
  UPDATE run_heads h SET mail_in = h.mail_in + c.n,
    ready_at = CASE WHEN h.owner IS NULL THEN coalesce(h.ready_at, p_now) END
  FROM (SELECT m.run, m.plane, count(*) AS n FROM unnest(p_run, p_plane) m(run, plane) GROUP BY 1, 2) c
  CROSS JOIN LATERAL (SELECT d.ctid AS place FROM run_heads d
    WHERE d.run_id = c.run AND d.plane_id = c.plane OFFSET 0) x
  WHERE h.ctid = x.place
  RETURNING h.run_id, h.plane_id, h.pool, h.owner;
END $$;
