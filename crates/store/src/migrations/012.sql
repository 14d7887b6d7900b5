-- Format 12: since when tariffs count, and which way calls went.

ALTER TABLE tariff ADD COLUMN at INTEGER; -- when the provider took it in; absent for those before this format

-- Calls: the trunk that they went through, if they went through one, and the period in which they were claimed.
ALTER TABLE claim ADD COLUMN trunk TEXT;
ALTER TABLE claim ADD COLUMN period INTEGER;
CREATE INDEX claim_of_period ON claim (period) WHERE period IS NOT NULL;
