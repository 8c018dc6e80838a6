-- Which archives of bundles runs still refer to, for the collection of blobs: without it each question reads all runs.
CREATE INDEX runs_bundle ON runs (plane_id, bundle_sha256) WHERE bundle_sha256 IS NOT NULL;
