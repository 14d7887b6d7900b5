-- Format 5: settlement. What payees pay for being paid, what each closed period came to, payouts through the bank.

-- A posting belongs to the period that was open when it was made. Those made before this format have 0.
ALTER TABLE posting ADD COLUMN period INTEGER NOT NULL DEFAULT 0;
-- 1: the period's postings carry its number; 0: it was closed before this format.
ALTER TABLE period ADD COLUMN stamped INTEGER NOT NULL DEFAULT 0;

-- Contracts: what is set is never changed, only followed by a later version.
CREATE TABLE contract (
    party BLOB NOT NULL,
    tender INTEGER NOT NULL,         -- core Tender
    unit INTEGER NOT NULL,
    version INTEGER NOT NULL,
    counts_from INTEGER NOT NULL,
    body BLOB NOT NULL,              -- Signed<Contract>
    PRIMARY KEY (party, tender, unit, version)
) WITHOUT ROWID, STRICT;

-- Where payouts go, and (of the provider itself) where they come from.
CREATE TABLE bank_account (
    party BLOB PRIMARY KEY,
    holder TEXT NOT NULL,            -- in the letters that SEPA orders carry
    iban TEXT NOT NULL,
    bic TEXT,
    at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- What moved in a period to and from each payee, per issuer: running sums of postings, as balances are.
CREATE TABLE movement (
    period INTEGER NOT NULL,
    party BLOB NOT NULL,
    issuer BLOB NOT NULL,
    unit INTEGER NOT NULL,
    credited INTEGER NOT NULL,       -- claimed or captured
    undone INTEGER NOT NULL,         -- voided
    fees INTEGER NOT NULL,           -- charged less given back; below nothing for who earns them
    PRIMARY KEY (period, party, issuer, unit)
) WITHOUT ROWID, STRICT;

-- What a closed period came to. side 1: what a payee is due; side 2: what an issuer or the processor owes; 3: its guarantor.
-- due = carried + credited - undone - fees + returned; below nothing it is carried on.
CREATE TABLE position (
    period INTEGER NOT NULL,
    party BLOB NOT NULL,
    unit INTEGER NOT NULL,
    side INTEGER NOT NULL,
    carried INTEGER NOT NULL,
    credited INTEGER NOT NULL,
    undone INTEGER NOT NULL,
    fees INTEGER NOT NULL,
    returned INTEGER NOT NULL,       -- payouts that the bank gave back
    due INTEGER NOT NULL,
    PRIMARY KEY (period, party, unit, side)
) WITHOUT ROWID, STRICT;

-- One payout of a period to one payee in one currency; table payout has its parts per issuer.
CREATE TABLE transfer (
    period INTEGER NOT NULL,
    party BLOB NOT NULL,
    unit INTEGER NOT NULL,
    end_to_end TEXT NOT NULL,        -- its name at the bank
    amount INTEGER NOT NULL,
    state INTEGER NOT NULL,          -- 1 waits for bank details, 2 ordered, 3 booked, 4 came back, 5 differs
    ordered INTEGER,                 -- the period whose file orders it
    back INTEGER,                    -- the period in which it came back, and is owed again
    why TEXT,                        -- what the bank said
    PRIMARY KEY (period, party, unit)
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX transfer_name ON transfer (end_to_end);

-- pain.001 files as they were first asked for; the same bytes ever after.
CREATE TABLE payout_file (
    period INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    iban TEXT NOT NULL,              -- the account that pays
    body BLOB NOT NULL
) STRICT;

-- camt.053 files that were reconciled, by the hash of their bytes.
CREATE TABLE bank_statement (
    hash BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    iban TEXT NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID, STRICT;
