-- Format 13: whoever is called elsewhere, or nowhere, is not called any more by numbers that were given before; and tickets that are
-- issued anew because their wallet was lost.

-- Numbers of the ten minutes before this format end by themselves.
ALTER TABLE stands_for ADD COLUMN called BLOB NOT NULL DEFAULT x'00000000000000000000000000000000'; -- the device that is called
CREATE INDEX stands_for_called ON stands_for (called, until);

CREATE TABLE anew (
    card BLOB NOT NULL,
    generation INTEGER NOT NULL,     -- that was lost
    next INTEGER NOT NULL,           -- that begins with whoever installs the number
    number BLOB NOT NULL UNIQUE,     -- a keyed hash
    at INTEGER NOT NULL,
    lost BLOB NOT NULL,              -- the wallet
    taker BLOB,                      -- the wallet that has it now
    proof BLOB,                      -- its request
    PRIMARY KEY (card, generation)
) WITHOUT ROWID, STRICT;
