-- Puts a table of planes under row-level security: who is neither the owner nor of the engine's role sees the rows of
-- the plane that its statement sets, and none without one. The sum keeps the policy from choosing an index: that is
-- for the statement, whose plan must not depend on who sends it. Repeatable; takes no lock where nothing is missing.
CREATE FUNCTION protect_table_v1(p_table regclass) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  c_plane CONSTANT text := '(plane_id + 0 = (SELECT nullif(current_setting(''gw.plane'', true), '''')::int))';
BEGIN
  IF NOT (SELECT c.relrowsecurity FROM pg_class c WHERE c.oid = p_table) THEN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
  END IF;
  IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = p_table AND polname = 'plane') THEN
    EXECUTE format('CREATE POLICY plane ON %s USING %s WITH CHECK %s', p_table, c_plane, c_plane);
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'abstractgateway_engine')
    AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = p_table AND polname = 'engine') THEN
    EXECUTE format('CREATE POLICY engine ON %s TO abstractgateway_engine USING (true) WITH CHECK (true)', p_table);
  END IF;
END $$;

-- Tables that still need it.
CREATE FUNCTION unprotected_tables_v1() RETURNS SETOF regclass
LANGUAGE sql STABLE AS $$
  SELECT c.oid::regclass FROM pg_class c
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'plane_id' AND NOT a.attisdropped)
    AND NOT (c.relrowsecurity
      AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'plane')
      AND (EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'engine')
        OR NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'abstractgateway_engine')))
  ORDER BY c.relname
$$;
