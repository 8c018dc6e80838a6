-- Row-level security: the last net below the scopes of the program. The functions of this version are beside it;
-- `migrate` calls them after each run, so that tables of later versions are covered too.
-- What API nodes call across planes runs as the owner of the tables. Such a function must find nothing but ours.
DO $$
DECLARE
  f record;
BEGIN
  FOR f IN SELECT p.oid::regprocedure AS name FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace
      AND p.proname IN ('start_runs_v1', 'post_commands_v1', 'plane_v1', 'planes_v1', 'tails_v1', 'pools_v1')
  LOOP
    EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp', f.name, current_schema());
  END LOOP;
END $$;
