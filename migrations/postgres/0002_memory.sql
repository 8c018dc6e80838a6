-- Memory as rows of its owner: spans and statements of the knowledge graph. Both are logs: rows are added by the commit
-- of the run that executes the effect, and never changed. seq is the order of insertion.

CREATE TABLE memory_spans (
  seq        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  plane_id   int         NOT NULL REFERENCES planes,
  owner_id   text        COLLATE "C" NOT NULL,
  span_id    text        COLLATE "C" NOT NULL,
  change     text        COLLATE "C" NOT NULL,
  created_at timestamptz NOT NULL,
  body       text        NOT NULL
);
CREATE INDEX memory_spans_owner ON memory_spans (plane_id, owner_id, seq);
CREATE INDEX memory_spans_span ON memory_spans (plane_id, span_id, seq);

-- Times are texts, compared as such. The vector belongs to the model that made it. Terms have no bound, entries of a
-- B-tree do: the indexes hold their beginnings.
CREATE TABLE kg_assertions (
  seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  plane_id     int    NOT NULL REFERENCES planes,
  owner_id     text   COLLATE "C" NOT NULL,
  scope        text   COLLATE "C" NOT NULL,
  assertion_id text   COLLATE "C" NOT NULL,
  subject      text   COLLATE "C" NOT NULL,
  predicate    text   COLLATE "C" NOT NULL,
  object       text   COLLATE "C" NOT NULL,
  observed_at  text   COLLATE "C" NOT NULL,
  valid_from   text   COLLATE "C",
  valid_until  text   COLLATE "C",
  body         text   NOT NULL,
  model        text   COLLATE "C",
  vector       bytea
);
CREATE INDEX kg_assertions_owner ON kg_assertions (plane_id, owner_id, seq);
CREATE INDEX kg_assertions_subject ON kg_assertions (plane_id, owner_id, left(subject, 256));
CREATE INDEX kg_assertions_object ON kg_assertions (plane_id, owner_id, left(object, 256));
CREATE INDEX kg_assertions_plane ON kg_assertions (plane_id, seq);

-- Adds the memory rows of starts and commits to the rows that write_more_v1 writes.
CREATE OR REPLACE FUNCTION write_more_v1(p_more json, p_plane int[], p_ok int[]) RETURNS void
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

  IF p_more -> 'spans' IS NOT NULL THEN
    INSERT INTO memory_spans (plane_id, owner_id, span_id, change, created_at, body)
    SELECT p_plane[s.ix], s.owner_id, s.span_id, s.change, s.created_at, s.body
    FROM json_to_recordset(p_more -> 'spans') s(ix int, place int, owner_id text, span_id text, change text,
      created_at timestamptz, body text)
    WHERE s.ix = ANY (p_ok) ORDER BY s.ix, s.place;
  END IF;
  IF p_more -> 'assertions' IS NOT NULL THEN
    INSERT INTO kg_assertions (plane_id, owner_id, scope, assertion_id, subject, predicate, object, observed_at,
      valid_from, valid_until, body, model, vector)
    SELECT p_plane[a.ix], a.owner_id, a.scope, a.assertion_id, a.subject, a.predicate, a.object, a.observed_at,
      a.valid_from, a.valid_until, a.body, a.model, decode(a.vector, 'hex')
    FROM json_to_recordset(p_more -> 'assertions') a(ix int, place int, owner_id text, scope text, assertion_id text,
      subject text, predicate text, object text, observed_at text, valid_from text, valid_until text, body text,
      model text, vector text)
    WHERE a.ix = ANY (p_ok) ORDER BY a.ix, a.place;
  END IF;
END $$;
