-- Rows that few starts and commits have: artifacts and memory owners of the write sets p_ok.
CREATE FUNCTION write_more_v1(p_more json, p_plane int[], p_ok int[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  -- In key order against deadlocks; of two rows with one key the last counts.
  INSERT INTO artifacts (plane_id, artifact_id, run_id, blob_id, content_type, size_bytes, created_at, semantic_kind,
    render_kind, modality, session_id, meta)
  SELECT DISTINCT ON (1, 2) p_plane[a.ix], a.artifact_id, a.run_id, a.blob_id, a.content_type, a.size_bytes,
    a.created_at, a.semantic_kind, a.render_kind, a.modality, a.session_id, a.meta
  FROM json_to_recordset(p_more -> 'artifacts') a(ix int, place int, artifact_id text, run_id text, blob_id text,
    content_type text, size_bytes bigint, created_at timestamptz, semantic_kind text, render_kind text, modality text,
    session_id text, meta text)
  WHERE a.ix = ANY (p_ok) ORDER BY 1, 2, a.ix DESC, a.place DESC
  ON CONFLICT (plane_id, artifact_id) DO UPDATE SET run_id = excluded.run_id, blob_id = excluded.blob_id,
    content_type = excluded.content_type, size_bytes = excluded.size_bytes, created_at = excluded.created_at,
    semantic_kind = excluded.semantic_kind, render_kind = excluded.render_kind, modality = excluded.modality,
    session_id = excluded.session_id, meta = excluded.meta;

  INSERT INTO memory_owners (plane_id, owner_id, session_id, created_at, updated_at)
  SELECT p_plane[w.ix], w.owner_id, w.session_id, w.created_at, w.updated_at
  FROM json_to_recordset(p_more -> 'owners') w(ix int, owner_id text, session_id text, created_at timestamptz,
    updated_at timestamptz)
  WHERE w.ix = ANY (p_ok) ORDER BY 1, 2, w.ix
  ON CONFLICT DO NOTHING;
END $$;
