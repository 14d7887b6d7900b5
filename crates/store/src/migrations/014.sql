-- Format 14: what stands on seats, for those who look for theirs. A plan of before is filled in when it is sent again.

ALTER TABLE seat ADD COLUMN name TEXT;
