-- Format 9: seats by whether they are free, who waits for one, when a card was given back; cards given; tickets changed.

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

-- Cards that were given from wallet to wallet: one row for each generation that ended so.
CREATE TABLE handed (
    card BLOB NOT NULL,
    generation INTEGER NOT NULL,     -- the one that was given
    hash BLOB NOT NULL,              -- of the card's last event in it
    gift INTEGER NOT NULL,           -- 0: handed over (body: the hop); 1: locked to the provider (body: the signed request)
    body BLOB NOT NULL,
    used INTEGER NOT NULL,           -- entries that were used before
    until INTEGER NOT NULL,          -- to be registered or taken before then
    home INTEGER NOT NULL,           -- the generation that a wallet was certified for last: it comes back to that one
    giver BLOB NOT NULL,             -- that wallet
    state INTEGER NOT NULL,          -- 1 open, 2 taken, 3 given on, 4 came back
    due INTEGER NOT NULL,            -- comes back then
    taker BLOB,                      -- the wallet that has registered or taken it
    proof BLOB,                      -- what binds it to that wallet: the new key's signature, or the signed install request
    number BLOB,                     -- a gift's number, as a keyed hash
    PRIMARY KEY (card, generation)
) WITHOUT ROWID;
CREATE INDEX handed_due ON handed (state, due);
CREATE INDEX handed_number ON handed (number) WHERE number IS NOT NULL;
CREATE INDEX handed_giver ON handed (giver);

-- Tickets changed or cancelled after they were sold.

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
                                     -- 7 refunded because cancelled, 8 kept: let in before, 9 over before, 10 failed,
                                     -- 11 superseded by a later change, where it has its turn
    at INTEGER NOT NULL,             -- since when
    answer BLOB,                     -- the holder's signed answer
    PRIMARY KEY (card, change)
) WITHOUT ROWID;
CREATE INDEX change_ticket_state ON change_ticket (change, state, card);

-- Which tickets have these terms: 1000 is the unit of entries.
CREATE INDEX card_ticket ON card (terms, card) WHERE unit = 1000;
