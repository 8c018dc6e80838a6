-- The claim in which the holder of a run last began to drive it, noted only for runs whose holders have crashed before: a
-- further crash counts against those that were being driven, not against what waited in the same process.
ALTER TABLE run_heads ADD COLUMN driven_epoch INTEGER;
