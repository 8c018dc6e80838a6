-- Makes the two roles where the caller may, and grants them what they need where they exist. API nodes: the rows of one
-- plane at a time, and the functions that create runs and accept commands. Runners: everything but the schema.
CREATE FUNCTION grant_roles_v1() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  c_roles CONSTANT text[] := '{abstractgateway_api,abstractgateway_engine}';
  -- What API nodes may call; these run as the owner and take planes as arguments.
  c_api CONSTANT text := '^(start_runs|post_commands|plane|planes|tails|pools)_v[0-9]+$';
  v_role text;
  o record;
BEGIN
  FOREACH v_role IN ARRAY c_roles LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
      EXCEPTION
        -- Databases of one server share their roles: another migration made it meanwhile.
        WHEN duplicate_object OR unique_violation THEN NULL;
        WHEN insufficient_privilege THEN NULL;
      END;
    END IF;
  END LOOP;

  FOR o IN SELECT p.oid::regprocedure AS name FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace AND p.proname ~ '_v[0-9]+$' AND pg_has_role(p.proowner, 'usage')
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', o.name);
  END LOOP;
  IF (SELECT count(*) FROM pg_roles WHERE rolname = ANY (c_roles)) < 2 THEN
    RETURN;
  END IF;

  EXECUTE format('GRANT USAGE ON SCHEMA %I TO abstractgateway_api, abstractgateway_engine', current_schema());
  FOR o IN SELECT c.oid::regclass AS name, c.relkind, c.relname LIKE 'schema\_%' AS of_schema,
      c.relname = 'runner_sessions' AS of_engine
    FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'S')
      AND pg_has_role(c.relowner, 'usage')
  LOOP
    IF o.relkind = 'S' THEN
      EXECUTE format('GRANT USAGE ON SEQUENCE %s TO abstractgateway_api, abstractgateway_engine', o.name);
    ELSIF o.of_schema THEN
      EXECUTE format('GRANT SELECT ON TABLE %s TO abstractgateway_api, abstractgateway_engine', o.name);
    ELSE
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO abstractgateway_engine', o.name);
      IF NOT o.of_engine THEN
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO abstractgateway_api', o.name);
      END IF;
    END IF;
  END LOOP;
  FOR o IN SELECT p.oid::regprocedure AS name, p.proname ~ c_api AS of_api FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace AND pg_has_role(p.proowner, 'usage')
      AND p.proname ~ '_v[0-9]+$' AND p.proname !~ '^(protect_table|unprotected_tables|grant_roles)_v'
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO abstractgateway_engine', o.name);
    IF o.of_api THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO abstractgateway_api', o.name);
    END IF;
  END LOOP;
END $$;
