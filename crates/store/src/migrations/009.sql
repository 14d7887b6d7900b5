-- Format 9: the seats of each event, found by whether they are free; who waits for one; when a card was given back.

-- The seats that an event's plan has. One that is not free stands in seat_taken.
CREATE TABLE seat (
    event BLOB NOT NULL,
    seat INTEGER NOT NULL,           -- its number in the plan
    article INTEGER NOT NULL,        -- what sells it
    free INTEGER NOT NULL,           -- 1: neither reserved nor sold
    PRIMARY KEY (event, seat)
) WITHOUT ROWID;
CREATE INDEX seat_free ON seat (event, article, seat) WHERE free = 1;
CREATE INDEX seat_article ON seat (event, article);

-- Wallets that want one of what is sold out, in the order in which they said so.
CREATE TABLE waiting (
    number INTEGER PRIMARY KEY,      -- the place in the list
    wallet BLOB NOT NULL,            -- the purchase that it becomes ...
    purchase BLOB NOT NULL,
    issuer BLOB NOT NULL,
    article INTEGER NOT NULL,
    state INTEGER NOT NULL,          -- 1 waits, 2 was offered one, 3 over
    told INTEGER,                    -- when its wallet heard of the offer
    at INTEGER NOT NULL,
    hash BLOB NOT NULL,
    body BLOB NOT NULL,              -- the wallet's signed wish, with its reservation
    UNIQUE (wallet, purchase)
);
CREATE INDEX waiting_next ON waiting (issuer, article, number) WHERE state = 1;
CREATE INDEX waiting_offered ON waiting (wallet) WHERE state = 2;

-- When the provider heard that a card was given back; 0: before this format.
ALTER TABLE surrender ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX purchase_article ON purchase (issuer, article);

-- Tickets by number, for a counter or as vouchers, count with those that their article sells.
ALTER TABLE number_batch ADD COLUMN article INTEGER;
