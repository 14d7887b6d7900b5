-- Format 6: letters between merchants and users, which only they can open.

-- To which key letters are sealed. Of a wallet: one row for each merchant, and for each card that paid there. Of a terminal: one.
CREATE TABLE reach (
    merchant BLOB NOT NULL,
    name BLOB NOT NULL,              -- the customer number at this merchant, or the card; a terminal's: its device
    device BLOB NOT NULL,            -- who is reached: a wallet or a terminal
    sealing BLOB NOT NULL,
    at INTEGER NOT NULL,             -- by the device's clock: the newest counts
    PRIMARY KEY (merchant, name)
) WITHOUT ROWID, STRICT;

-- Merchants whose letters a user does not want.
CREATE TABLE mute (
    wallet BLOB NOT NULL,
    merchant BLOB NOT NULL,
    muted INTEGER NOT NULL,
    at INTEGER NOT NULL,             -- by the wallet's clock: the newest counts
    PRIMARY KEY (wallet, merchant)
) WITHOUT ROWID, STRICT;

CREATE TABLE letter (
    merchant BLOB NOT NULL,
    side INTEGER NOT NULL,           -- who wrote it: 1 the user, 2 the merchant
    number BLOB NOT NULL,
    hash BLOB NOT NULL,              -- of the Carry
    writer BLOB NOT NULL,            -- its device
    reader BLOB NOT NULL,            -- the device that it goes to
    wallet BLOB NOT NULL,            -- the user's device, on whichever side
    state INTEGER NOT NULL,          -- 1 waiting, 2 in a command, 3 could not be opened, 4 dropped
    again INTEGER NOT NULL,          -- how often it could not be opened
    at INTEGER NOT NULL,             -- when it came first
    body BLOB,                       -- Delivery, as it goes into the command; absent: dropped
    PRIMARY KEY (merchant, side, number)
) WITHOUT ROWID, STRICT;
CREATE INDEX letter_waiting ON letter (reader) WHERE state = 1;
CREATE INDEX letter_between ON letter (merchant, wallet, side, at);
