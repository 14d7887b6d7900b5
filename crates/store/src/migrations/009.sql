-- Format 9: tickets changed or cancelled after they were sold.

-- A change as its promoter signed it, and how far it has come.
CREATE TABLE change (
    change BLOB PRIMARY KEY,         -- the hash of the promoter's signed change
    promoter BLOB NOT NULL,
    event BLOB NOT NULL,
    before BLOB NOT NULL,            -- the terms that are replaced
    after BLOB,                      -- the terms that replace them; absent: cancelled, everyone is paid back
    answer_until INTEGER NOT NULL,
    silence_refunds INTEGER NOT NULL,
    at INTEGER NOT NULL,             -- when it was recorded
    cursor BLOB,                     -- tickets up to this one have their row below; absent: all have
    ended INTEGER,                   -- when the last ticket was decided
    body BLOB NOT NULL               -- the signed change
) WITHOUT ROWID;
CREATE UNIQUE INDEX change_before ON change (event, before);
CREATE INDEX change_open ON change (at) WHERE ended IS NULL;

-- A ticket that a change concerns.
CREATE TABLE change_ticket (
    card BLOB NOT NULL,
    change BLOB NOT NULL,
    wallet BLOB NOT NULL,            -- who was told
    state INTEGER NOT NULL,          -- 1 listed, 2 told, 3 accepted, 4 declined, 5 accepted by silence, 6 refunded by silence,
                                     -- 7 refunded because cancelled, 8 kept: let in before, 9 over before, 10 failed
    at INTEGER NOT NULL,             -- since when
    answer BLOB,                     -- the holder's signed answer
    PRIMARY KEY (card, change)
) WITHOUT ROWID;
CREATE INDEX change_ticket_state ON change_ticket (change, state, card);

-- Which tickets have these terms: 1000 is the unit of entries.
CREATE INDEX card_ticket ON card (terms, card) WHERE unit = 1000;
