-- The plane of a tenant and runtime, made at first sight. Runs as the owner of the tables: who asks has no plane yet.
CREATE FUNCTION plane_v1(p_tenant text, p_runtime text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  v_plane int;
BEGIN
  FOR attempt IN 1..2 LOOP
    SELECT p.plane_id INTO v_plane FROM planes p WHERE p.tenant_id = p_tenant AND p.runtime_id = p_runtime;
    EXIT WHEN FOUND;
    INSERT INTO planes (tenant_id, runtime_id) VALUES (p_tenant, p_runtime) ON CONFLICT DO NOTHING;
  END LOOP;
  RETURN v_plane;
END $$;

-- One plane, or all of them.
CREATE FUNCTION planes_v1(p_plane int)
RETURNS TABLE (o_plane int, o_tenant text, o_runtime text)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT p.plane_id, p.tenant_id, p.runtime_id FROM planes p
  WHERE p_plane IS NULL OR p.plane_id = p_plane ORDER BY p.plane_id
$$;
