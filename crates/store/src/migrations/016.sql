-- Format 16: nothing is sold after a backup was put back before somebody has compared what was sold since (R15).

-- The last epoch for which that is done.
ALTER TABLE provider ADD COLUMN compared INTEGER NOT NULL DEFAULT 1;
UPDATE provider SET compared = epoch;
