-- Where ledgers of several planes end: what a node asks for the streams that it serves.
CREATE FUNCTION tails_v1(p_run uuid[], p_plane int[])
RETURNS TABLE (o_run uuid, o_plane int, o_last_seq bigint, o_status text)
LANGUAGE sql STABLE SECURITY DEFINER
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  SELECT r.run_id, r.plane_id, r.last_seq, r.status FROM unnest(p_run, p_plane) k(run, plane)
  CROSS JOIN LATERAL (SELECT d.run_id, d.plane_id, d.last_seq, d.status FROM runs d
    WHERE d.run_id = k.run AND d.plane_id + 0 = k.plane OFFSET 0) r
$$;

-- What each pool has to do and who is there to do it: counts over all planes, no row of any.
CREATE FUNCTION pools_v1(p_now timestamptz)
RETURNS TABLE (o_pool text, o_runners bigint, o_ready bigint, o_leased bigint, o_oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  WITH n AS MATERIALIZED (SELECT coalesce(p_now, clock_timestamp()) AS t),
    s AS (SELECT pool, count(*) AS n FROM runner_sessions WHERE NOT dead AND expires_at > (SELECT t FROM n)
      GROUP BY pool),
    r AS (SELECT pool, count(*) AS n, min(ready_at) AS oldest FROM run_heads WHERE ready_at IS NOT NULL
      GROUP BY pool),
    o AS (SELECT pool, count(*) AS n FROM run_heads WHERE owner IS NOT NULL GROUP BY pool),
    p AS (SELECT pool FROM s UNION SELECT pool FROM r UNION SELECT pool FROM o)
  SELECT pool, coalesce(s.n, 0), coalesce(r.n, 0), coalesce(o.n, 0), r.oldest FROM p
  LEFT JOIN s USING (pool) LEFT JOIN r USING (pool) LEFT JOIN o USING (pool) ORDER BY pool
$$;
