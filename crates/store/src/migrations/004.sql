-- Format 4: cards bought over the network by credit, and given back.

-- What issuers offer, every revision; the newest counts.
CREATE TABLE listing (
    issuer BLOB NOT NULL,
    article INTEGER NOT NULL,        -- the issuer's number of it
    revision INTEGER NOT NULL,
    hash BLOB NOT NULL,
    body BLOB NOT NULL,              -- Signed<Listing>
    at INTEGER NOT NULL,
    PRIMARY KEY (issuer, article, revision)
) WITHOUT ROWID, STRICT;

-- How many of an article are sold or reserved: never more than its stock.
CREATE TABLE article (
    issuer BLOB NOT NULL,
    article INTEGER NOT NULL,
    revision INTEGER NOT NULL,       -- the newest
    taken INTEGER NOT NULL,
    PRIMARY KEY (issuer, article)
) WITHOUT ROWID, STRICT;

-- A purchase, as far as it has come. What was signed about it stands in purchase_record.
CREATE TABLE purchase (
    wallet BLOB NOT NULL,
    number BLOB NOT NULL,            -- the wallet's
    state INTEGER NOT NULL,          -- core PurchaseState
    why INTEGER,                     -- core PurchaseRefusal
    issuer BLOB NOT NULL,
    article INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    expires INTEGER NOT NULL,        -- of the reservation
    option INTEGER,                  -- payment option code, once it is paid
    authorization BLOB,              -- number of the Authorize
    clear BLOB,                      -- number of the Clear
    void BLOB,                       -- number of the VoidAuthorization
    card BLOB,                       -- topped up, or delivered
    load INTEGER,                    -- number of the load, once a top-up is delivered
    clearing BLOB,                   -- the processor's clearing number
    captured INTEGER,                -- when it was known to be captured
    at INTEGER NOT NULL,
    ended INTEGER,
    PRIMARY KEY (wallet, number)
) WITHOUT ROWID, STRICT;
CREATE INDEX purchase_reserved ON purchase (expires) WHERE state = 1;
CREATE INDEX purchase_card ON purchase (card) WHERE card IS NOT NULL;
CREATE INDEX purchase_clearing ON purchase (clearing) WHERE clearing IS NOT NULL;

-- What was signed about a purchase: written once, never changed.
CREATE TABLE purchase_record (
    wallet BLOB NOT NULL,
    number BLOB NOT NULL,
    what INTEGER NOT NULL,           -- 1 Reserve, 2 Purchase, 3 TemporaryReceipt, 4 ClearingCompletion [8417], 5 UserReceipt [8421]
    hash BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (wallet, number, what)
) WITHOUT ROWID, STRICT;

-- A card given back by its own key: paid back once nothing spent before can still come (R11).
CREATE TABLE surrender (
    card BLOB PRIMARY KEY,
    generation INTEGER NOT NULL,
    wallet BLOB NOT NULL,
    due INTEGER NOT NULL,
    asked INTEGER,                   -- when the refunds were asked for
    ended INTEGER,
    body BLOB                        -- Signed<Refunded>, once it has ended
) WITHOUT ROWID, STRICT;
CREATE INDEX surrender_due ON surrender (due) WHERE asked IS NULL;

-- Money on its way back to a bank card; of a purchase never more than it cost.
CREATE TABLE refund (
    number BLOB PRIMARY KEY,         -- of the Refund
    wallet BLOB NOT NULL,            -- the purchase ...
    purchase BLOB NOT NULL,
    card BLOB,                       -- the card that was given back; absent: what could not be delivered
    amount INTEGER NOT NULL,
    state INTEGER NOT NULL,          -- 1 asked, 2 paid back, 3 refused
    at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX refund_purchase ON refund (wallet, purchase);
CREATE INDEX refund_card ON refund (card) WHERE card IS NOT NULL;

-- What a request to the processor is about: a purchase (with its wallet as subject), or a refund (of the same number).
ALTER TABLE asked ADD COLUMN purchase BLOB;
ALTER TABLE asked ADD COLUMN refund INTEGER NOT NULL DEFAULT 0;
