-- Memory as rows of its owner: spans and statements of the knowledge graph. Both are logs: rows are added by the commit
-- of the run that executes the effect, and never changed. seq is the order of insertion.

CREATE TABLE memory_spans (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  plane_id   INTEGER NOT NULL REFERENCES planes,
  owner_id   TEXT    NOT NULL,
  span_id    TEXT    NOT NULL,
  change     TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  body       TEXT    NOT NULL
) STRICT;
CREATE INDEX memory_spans_owner ON memory_spans (plane_id, owner_id, seq);
CREATE INDEX memory_spans_span ON memory_spans (plane_id, span_id, seq);

-- Times are texts, compared as such. The vector belongs to the model that made it.
CREATE TABLE kg_assertions (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  plane_id     INTEGER NOT NULL REFERENCES planes,
  owner_id     TEXT    NOT NULL,
  scope        TEXT    NOT NULL,
  assertion_id TEXT    NOT NULL,
  subject      TEXT    NOT NULL,
  predicate    TEXT    NOT NULL,
  object       TEXT    NOT NULL,
  observed_at  TEXT    NOT NULL,
  valid_from   TEXT,
  valid_until  TEXT,
  body         TEXT    NOT NULL,
  model        TEXT,
  vector       BLOB
) STRICT;
CREATE INDEX kg_assertions_owner ON kg_assertions (plane_id, owner_id, seq);
CREATE INDEX kg_assertions_subject ON kg_assertions (plane_id, owner_id, subject);
CREATE INDEX kg_assertions_object ON kg_assertions (plane_id, owner_id, object);
CREATE INDEX kg_assertions_plane ON kg_assertions (plane_id, seq);
