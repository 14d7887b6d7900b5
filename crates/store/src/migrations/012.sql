-- Format 12: since when tariffs count, which way calls went, calls between merchants and users, and gates that are set up by the
-- number that they join with.

ALTER TABLE tariff ADD COLUMN at INTEGER; -- when the provider took it in; absent for those before this format

-- Calls: the trunk that they went through, if they went through one, and the period in which they were claimed.
ALTER TABLE claim ADD COLUMN trunk TEXT;
ALTER TABLE claim ADD COLUMN period INTEGER;
CREATE INDEX claim_of_period ON claim (period) WHERE period IS NOT NULL;

-- Where devices are called (flow 21).
CREATE TABLE phone (
    device BLOB PRIMARY KEY,
    switch BLOB,                     -- absent: it is not called any more
    phone TEXT,
    at INTEGER NOT NULL              -- by the device's clock
) WITHOUT ROWID, STRICT;

-- Numbers that stand for somebody for a while.
CREATE TABLE stands_for (
    hash BLOB PRIMARY KEY,           -- of the request for it
    number TEXT NOT NULL,
    merchant BLOB NOT NULL,
    wallet BLOB NOT NULL,
    side INTEGER NOT NULL,           -- who calls: 1 the user, 2 the merchant
    switch BLOB NOT NULL,
    told INTEGER NOT NULL,           -- whether the switch knows it
    at INTEGER NOT NULL,             -- by the provider's clock
    until INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX stands_for_pair ON stands_for (wallet, merchant, at);

-- Where a gate that joins with it shall stand.
ALTER TABLE token ADD COLUMN place BLOB; -- signed by the promoter
