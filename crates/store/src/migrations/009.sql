-- Format 9: cards that were given from wallet to wallet. One row for each generation that ended so.
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
