-- Format 12: gates that are set up by the number that they join with.

ALTER TABLE token ADD COLUMN place BLOB; -- signed by the promoter
