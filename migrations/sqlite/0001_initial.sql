-- First schema. Times are microseconds since 1970 UTC, ids of runs the 16 bytes of the UUID, JSON is text.
-- Keys lead with run_id: new ids rise with time, so inserts go to the right edge of the index.
-- Tables with large rows keep a rowid: a WITHOUT ROWID row above a quarter of a page spills at once.

CREATE TABLE store_state (
  id             INTEGER PRIMARY KEY CHECK (id = 1),
  clean_shutdown INTEGER NOT NULL,
  incarnation    INTEGER NOT NULL
) STRICT;
INSERT INTO store_state (id, clean_shutdown, incarnation) VALUES (1, 1, 0);

-- A plane is one (tenant, runtime): every row belongs to one.
CREATE TABLE planes (
  plane_id    INTEGER PRIMARY KEY,
  tenant_id   TEXT    NOT NULL,
  runtime_id  TEXT    NOT NULL,
  command_seq INTEGER NOT NULL DEFAULT 0,
  generation  INTEGER NOT NULL DEFAULT 0,
  UNIQUE (tenant_id, runtime_id)
) STRICT;
INSERT INTO planes (plane_id, tenant_id, runtime_id) VALUES (1, 'default', 'default');

-- Live runs only. owner, epoch and preempt_at exist for the twin in Postgres; here leases are in memory, and a head
-- that somebody owns keeps ready_at, so that a crash leaves it ready.
CREATE TABLE run_heads (
  run_id     BLOB    NOT NULL,
  plane_id   INTEGER NOT NULL REFERENCES planes,
  pool       TEXT    NOT NULL,
  owner      INTEGER,
  epoch      INTEGER NOT NULL DEFAULT 0,
  mail_in    INTEGER NOT NULL DEFAULT 0,
  ready_at   INTEGER,
  wake_at    INTEGER,
  preempt_at INTEGER,
  crashes    INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (run_id, plane_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_heads_ready ON run_heads (ready_at) WHERE ready_at IS NOT NULL;
CREATE INDEX run_heads_wake ON run_heads (wake_at) WHERE wake_at IS NOT NULL;

-- Narrow columns first: lists and fences read them without touching the overflow pages of the state.
CREATE TABLE runs (
  run_id        BLOB    NOT NULL,
  plane_id      INTEGER NOT NULL REFERENCES planes,
  status        TEXT    NOT NULL,
  rev           INTEGER NOT NULL,
  epoch         INTEGER NOT NULL,
  last_seq      INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  paused        INTEGER NOT NULL,
  steps         INTEGER NOT NULL,
  llm_calls     INTEGER NOT NULL,
  tool_calls    INTEGER NOT NULL,
  tokens_total  INTEGER NOT NULL,
  parent_run_id BLOB,
  workflow_id   TEXT    NOT NULL,
  actor_id      TEXT,
  session_id    TEXT,
  bundle_sha256 TEXT,
  current_node  TEXT    NOT NULL,
  wait_reason   TEXT,
  wait_key      TEXT,
  wait_until    INTEGER,
  lifecycle     TEXT,
  error         TEXT,
  wait          TEXT,
  meta          TEXT    NOT NULL,
  output        TEXT,
  vars          TEXT    NOT NULL,
  UNIQUE (run_id, plane_id)
) STRICT;
CREATE INDEX runs_updated ON runs (plane_id, updated_at DESC, run_id);
CREATE INDEX runs_session ON runs (plane_id, session_id, created_at) WHERE session_id IS NOT NULL;
CREATE INDEX runs_parent ON runs (parent_run_id) WHERE parent_run_id IS NOT NULL;
CREATE INDEX runs_wait_key ON runs (plane_id, wait_key) WHERE wait_key IS NOT NULL;

-- One row per commit and run: the records first_seq..last_seq as JSON lines.
CREATE TABLE ledger (
  run_id    BLOB    NOT NULL,
  plane_id  INTEGER NOT NULL REFERENCES planes,
  last_seq  INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  records   TEXT    NOT NULL,
  UNIQUE (run_id, plane_id, last_seq)
) STRICT;

CREATE TABLE mail (
  run_id     BLOB    NOT NULL,
  plane_id   INTEGER NOT NULL REFERENCES planes,
  n          INTEGER NOT NULL,
  kind       TEXT    NOT NULL,
  body       TEXT    NOT NULL,
  command_id TEXT,
  PRIMARY KEY (run_id, plane_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX mail_command ON mail (plane_id, command_id) WHERE command_id IS NOT NULL;

CREATE TABLE commands (
  plane_id   INTEGER NOT NULL REFERENCES planes,
  command_id TEXT    NOT NULL,
  seq        INTEGER NOT NULL,
  run_id     TEXT    NOT NULL,
  type       TEXT    NOT NULL,
  payload    TEXT    NOT NULL,
  client_id  TEXT,
  ts         TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  outcome    TEXT,
  PRIMARY KEY (plane_id, command_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX commands_run ON commands (plane_id, run_id);

CREATE TABLE start_keys (
  plane_id    INTEGER NOT NULL REFERENCES planes,
  key         TEXT    NOT NULL,
  body_sha256 BLOB    NOT NULL,
  run_id      BLOB    NOT NULL,
  created_at  INTEGER NOT NULL,
  PRIMARY KEY (plane_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX start_keys_run ON start_keys (run_id);
CREATE INDEX start_keys_created ON start_keys (plane_id, created_at);

-- Ids that clients can name like runs and that are none: session_memory_…, global_memory.
CREATE TABLE memory_owners (
  plane_id   INTEGER NOT NULL REFERENCES planes,
  owner_id   TEXT    NOT NULL,
  session_id TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (plane_id, owner_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
  plane_id      INTEGER NOT NULL REFERENCES planes,
  artifact_id   TEXT    NOT NULL,
  run_id        TEXT,
  blob_id       TEXT    NOT NULL,
  content_type  TEXT    NOT NULL,
  size_bytes    INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  semantic_kind TEXT    NOT NULL,
  render_kind   TEXT    NOT NULL,
  modality      TEXT    NOT NULL,
  session_id    TEXT,
  meta          TEXT    NOT NULL,
  UNIQUE (plane_id, artifact_id)
) STRICT;
CREATE INDEX artifacts_run ON artifacts (plane_id, run_id, created_at) WHERE run_id IS NOT NULL;
CREATE INDEX artifacts_session ON artifacts (plane_id, session_id, created_at) WHERE session_id IS NOT NULL;
CREATE INDEX artifacts_created ON artifacts (plane_id, created_at);
CREATE INDEX artifacts_blob ON artifacts (plane_id, blob_id);

-- Bundles, flows, deprecations, capability defaults, connection profiles.
CREATE TABLE documents (
  plane_id   INTEGER NOT NULL REFERENCES planes,
  kind       TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  body       TEXT    NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (plane_id, kind, id)
) STRICT;
