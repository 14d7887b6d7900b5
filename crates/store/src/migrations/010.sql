-- Format 10: the staff at an event's gates, and what it did by hand.

-- The promoter's order, by its own signature; the last revision.
CREATE TABLE staff (
    event BLOB PRIMARY KEY,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL               -- the signed order
) WITHOUT ROWID;

-- What a badge has signed at a gate; the signature stands in the gate's log.
CREATE TABLE by_hand (
    gate BLOB NOT NULL,
    number INTEGER NOT NULL,         -- of the entry in the gate's log
    event BLOB NOT NULL,
    staff INTEGER NOT NULL,          -- the member's number
    zone INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    people INTEGER NOT NULL,
    card BLOB,                       -- a ticket whose entry is over ...
    entry INTEGER,                   -- ... and which
    at INTEGER NOT NULL,             -- by the gate's clock
    PRIMARY KEY (gate, number)
) WITHOUT ROWID;
CREATE INDEX by_hand_event ON by_hand (event);
