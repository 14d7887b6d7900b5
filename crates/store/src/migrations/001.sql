-- The provider's database, format 1. Ids and hashes are BLOBs, times are UTC seconds, amounts are minor units.
-- Every hot table leads with its distribution key (device, terminal, card). `body` columns hold exact signed bytes:
-- what the auditor recomputes every balance from.

-- ---- the provider itself ----------------------------------------------------------------------------------------

CREATE TABLE provider (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    party BLOB NOT NULL,
    name TEXT NOT NULL,
    root BLOB NOT NULL,              -- root public key
    sealing BLOB NOT NULL,           -- public key that messages are sealed to
    epoch INTEGER NOT NULL,          -- R15
    epoch_began INTEGER NOT NULL,
    reconciling_until INTEGER,       -- installs and loads wait until then, or until every device was heard (R15)
    list INTEGER NOT NULL            -- number of the newest revocation list
) STRICT;

-- Operational keys, each certified by the root: body is Signed<Certificate>.
CREATE TABLE operational_key (
    number INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- Signed<RevocationList>.
CREATE TABLE list (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- ---- participants -----------------------------------------------------------------------------------------------

-- Parties and devices. body is their newest Signed<Certificate>; key is that certificate's.
CREATE TABLE participant (
    subject BLOB PRIMARY KEY,
    role INTEGER NOT NULL,           -- core Role
    owner BLOB,                      -- a device's party
    name TEXT NOT NULL,
    key BLOB NOT NULL,
    valid_until INTEGER NOT NULL,
    joined INTEGER NOT NULL,
    revoked INTEGER,                 -- when
    channel BLOB,                    -- the secret that its last HPKE envelope left
    body BLOB NOT NULL
) WITHOUT ROWID, STRICT;

-- One-time tokens (R25), by the SHA-256 of their secret.
CREATE TABLE token (
    secret BLOB PRIMARY KEY,
    role INTEGER NOT NULL,
    owner BLOB,
    name TEXT NOT NULL,
    valid_until INTEGER NOT NULL,
    request BLOB,                    -- hash of the JoinRequest that used it
    reply BLOB                       -- Signed<JoinReply>, sent again to the same request
) WITHOUT ROWID, STRICT;

-- ---- devices' logs and commands ---------------------------------------------------------------------------------

-- With row ids: its rows are long and rewritten by every update, and those that joined together update together.
CREATE TABLE device (
    device BLOB NOT NULL PRIMARY KEY,
    recorded INTEGER NOT NULL,       -- number of the last entry recorded
    head BLOB NOT NULL,              -- hash over all entries up to it
    said INTEGER NOT NULL,           -- highest entry number it has said to have
    commands INTEGER NOT NULL,       -- number of the last command issued
    commands_head BLOB NOT NULL,
    confirmed INTEGER NOT NULL,      -- number of the last command confirmed
    confirmed_head BLOB NOT NULL,
    list INTEGER NOT NULL,           -- revocation list it said to hold in its last update
    updated INTEGER NOT NULL,        -- its last update
    epoch INTEGER NOT NULL,          -- of this provider, in which it was last heard
    next_transaction INTEGER NOT NULL, -- terminals: no transaction number below is new
    keys INTEGER NOT NULL,           -- highest operational key it was sent
    request BLOB,                    -- hash of its last UpdateRequest ...
    reply BLOB                       -- ... and the Signed<UpdateReply> that answered it
) STRICT;

CREATE TABLE entry (
    device BLOB NOT NULL,
    number INTEGER NOT NULL,
    body BLOB NOT NULL,              -- LogEntry, exactly as sent and signed within its upload
    PRIMARY KEY (device, number)
) WITHOUT ROWID, STRICT;

-- Every UpdateRequest that brought entries. request is the body with no entries in it; with entries
-- first..=last put back it is what the device signed.
CREATE TABLE upload (
    device BLOB NOT NULL,
    last INTEGER NOT NULL,
    first INTEGER NOT NULL,          -- acknowledged + 1; may lie before entries that were recorded already
    at INTEGER NOT NULL,
    before INTEGER NOT NULL,         -- the acknowledged update before it: the other end of R16's bracket
    request BLOB NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (device, last)
) WITHOUT ROWID, STRICT;

CREATE TABLE command (
    device BLOB NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    head BLOB NOT NULL,              -- hash over all commands up to it
    body BLOB NOT NULL,              -- Command
    PRIMARY KEY (device, number)
) WITHOUT ROWID, STRICT;

-- ---- numbers ----------------------------------------------------------------------------------------------------

CREATE TABLE number_key (
    issuer BLOB PRIMARY KEY,
    secret BLOB NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL               -- Signed<NumberKey>
) WITHOUT ROWID, STRICT;

CREATE TABLE terms (
    handle BLOB PRIMARY KEY,
    issuer BLOB NOT NULL,
    body BLOB NOT NULL               -- Terms
) WITHOUT ROWID, STRICT;

CREATE TABLE number_batch (
    issuer BLOB NOT NULL,
    batch INTEGER NOT NULL,
    terms BLOB NOT NULL,
    unit INTEGER NOT NULL,
    face INTEGER NOT NULL,
    count INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,              -- Signed<Order>
    PRIMARY KEY (issuer, batch)
) WITHOUT ROWID, STRICT;

-- Serials first..=last became value. They may overlap what was active already, which changes nothing.
CREATE TABLE activation (
    issuer BLOB NOT NULL,
    batch INTEGER NOT NULL,
    hash BLOB NOT NULL,              -- of the Activate
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    activated INTEGER NOT NULL,      -- how many became value by this one
    at INTEGER NOT NULL,
    body BLOB NOT NULL,              -- Signed<Activate>
    PRIMARY KEY (issuer, batch, hash)
) WITHOUT ROWID, STRICT;

CREATE TABLE number (
    hash BLOB PRIMARY KEY,           -- keyed hash (R18)
    issuer BLOB NOT NULL,
    batch INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    state INTEGER NOT NULL,          -- 1 printed, 2 activated, 3 used
    key BLOB,                        -- the card key (install) that it is bound to
    card BLOB,
    load INTEGER,                    -- number of the load (load); absent: an install
    request BLOB,                    -- hash of the request that used it
    reply BLOB                       -- what answered it, before sealing
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX number_serial ON number (issuer, batch, serial);

-- Wrong numbers, per wallet and window (R18).
CREATE TABLE guess (
    wallet BLOB PRIMARY KEY,
    since INTEGER NOT NULL,
    count INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- ---- cards ------------------------------------------------------------------------------------------------------

CREATE TABLE card (
    card BLOB NOT NULL PRIMARY KEY,
    wallet BLOB NOT NULL,
    issuer BLOB NOT NULL,
    unit INTEGER NOT NULL,
    terms BLOB NOT NULL,
    generation INTEGER NOT NULL,     -- the current one
    seq INTEGER NOT NULL,            -- last event of its wallet's log in this generation
    head BLOB NOT NULL,
    remaining INTEGER NOT NULL,      -- after that event
    last_load INTEGER NOT NULL,      -- last load taken up in this generation
    loads INTEGER NOT NULL,          -- last load issued
    held INTEGER NOT NULL,           -- balance: held
    in_flight INTEGER NOT NULL,      -- balance: in flight
    covered INTEGER NOT NULL,        -- balance: guarantor
    held_back INTEGER NOT NULL,      -- of held: not on the card until release (R11)
    release_at INTEGER,
    blocked INTEGER,                 -- when: the wallet is lost or the holder convicted
    dead_generation INTEGER NOT NULL,-- dead up to and including; 0: none
    dead_list INTEGER NOT NULL       -- by the revocation list of this number
) STRICT;
CREATE INDEX card_wallet ON card (wallet, card);

-- A card's generations: the first certificate of each, which binds its key.
CREATE TABLE generation (
    card BLOB NOT NULL,
    generation INTEGER NOT NULL,
    key BLOB NOT NULL,
    at INTEGER NOT NULL,
    number BLOB,                     -- the number it was installed by; absent: a later generation
    body BLOB NOT NULL,              -- Signed<CardCertificate>
    PRIMARY KEY (card, generation)
) WITHOUT ROWID, STRICT;

-- What the faces of a card are: the newest Signed<CardCertificate>.
CREATE TABLE checkpoint (
    card BLOB NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE load (
    card BLOB NOT NULL,
    number INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    at INTEGER NOT NULL,
    source BLOB,                     -- the number's hash; absent: held-back value released (R11)
    hash BLOB NOT NULL,              -- the raise's
    body BLOB NOT NULL,              -- Signed<Load>
    PRIMARY KEY (card, number)
) WITHOUT ROWID, STRICT;

CREATE TABLE reversal (
    card BLOB NOT NULL,
    check_hash BLOB NOT NULL,
    generation INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    at INTEGER NOT NULL,
    hash BLOB NOT NULL,              -- the raise's
    body BLOB NOT NULL,              -- Signed<Reversal>
    PRIMARY KEY (card, check_hash)
) WITHOUT ROWID, STRICT;

-- ---- what happened ----------------------------------------------------------------------------------------------

-- Events of cards' chains as either side recorded them. Two rows at one position are a fork.
CREATE TABLE event (
    card BLOB NOT NULL,
    generation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,              -- with its context (R2)
    kind INTEGER NOT NULL,           -- core EventKind
    amount INTEGER NOT NULL,
    remaining INTEGER NOT NULL,
    state INTEGER NOT NULL,          -- spends: 1 in flight, 2 claimed, 3 ended (void, close, reversal), 4 returned,
                                     -- 5 claimed and refused; others: 6 taken up
    wallet_entry INTEGER,            -- number in the log of the card's wallet
    terminal BLOB,                   -- spends: who was paid
    terminal_entry INTEGER,          -- number in that terminal's log
    transaction_number INTEGER,      -- spends: of that terminal
    charge BLOB,                     -- spends: hash of the charge in its context
    at INTEGER NOT NULL,             -- when this provider first heard of it
    tick INTEGER NOT NULL,
    PRIMARY KEY (card, generation, seq, tick, hash)
) WITHOUT ROWID, STRICT;

-- Ends of charges, per terminal (R7). The charge's hash covers session, terminal and the charge's bytes.
CREATE TABLE claim (
    terminal BLOB NOT NULL,
    transaction_number INTEGER NOT NULL,
    charge BLOB NOT NULL,
    state INTEGER NOT NULL,          -- 1 paid, 2 closed, 3 voided, 4 refused
    entry INTEGER,                   -- of the terminal's log: paid or closed
    end_entry INTEGER,               -- of the terminal's log: voided or closed
    merchant BLOB NOT NULL,
    unit INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    at INTEGER NOT NULL,             -- by the provider's clock
    card BLOB,
    generation INTEGER,
    seq INTEGER,
    check_hash BLOB,
    issuer BLOB,
    PRIMARY KEY (terminal, transaction_number, charge)
) WITHOUT ROWID, STRICT;

-- Checks that a wallet recorded for charges whose end their terminal has not reported; removed when it does.
CREATE TABLE awaited (
    terminal BLOB NOT NULL,
    charge BLOB NOT NULL,
    check_hash BLOB NOT NULL,
    card BLOB NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (terminal, charge, check_hash)
) WITHOUT ROWID, STRICT;

-- ---- ledger -----------------------------------------------------------------------------------------------------

-- Append only, idempotent by key. subject is the card, else the issuer (activation) or merchant (payout).
CREATE TABLE posting (
    subject BLOB NOT NULL,
    what INTEGER NOT NULL,           -- store Cause
    reference BLOB NOT NULL,         -- check, raise, number, activation or period
    source INTEGER NOT NULL,         -- ledger Kind
    target INTEGER NOT NULL,
    issuer BLOB NOT NULL,
    unit INTEGER NOT NULL,
    party BLOB,                      -- the merchant of payable and paid
    amount INTEGER NOT NULL,
    PRIMARY KEY (subject, what, reference, source)
) WITHOUT ROWID, STRICT;

-- Balances that are not a card's: per merchant (payable, paid) and per issuer. Sums over all cards (held, in flight,
-- guarantor) stand here too, so that the equation of R10 is read from a few rows.
CREATE TABLE balance (
    issuer BLOB NOT NULL,
    unit INTEGER NOT NULL,
    kind INTEGER NOT NULL,           -- ledger Kind
    party BLOB NOT NULL,             -- the merchant; empty where the kind has none, or for the sum over all
    amount INTEGER NOT NULL,
    PRIMARY KEY (issuer, unit, kind, party)
) WITHOUT ROWID, STRICT;

CREATE TABLE exception (
    number INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,           -- store ExceptionKind
    at INTEGER NOT NULL,
    state INTEGER NOT NULL,          -- 1 open, 2 resolved
    device BLOB,
    merchant BLOB,
    issuer BLOB,
    card BLOB,
    generation INTEGER,
    seq INTEGER,
    check_hash BLOB,
    unit INTEGER,
    amount INTEGER,
    bearer TEXT NOT NULL,            -- who bears the loss
    wallet_record BLOB,              -- LogEntry or Signed<CardEvent> with context, as shown
    terminal_record BLOB
) STRICT;
CREATE INDEX exception_check ON exception (card, check_hash);

CREATE TABLE period (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE payout (
    period INTEGER NOT NULL,
    merchant BLOB NOT NULL,
    issuer BLOB NOT NULL,
    unit INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (period, merchant, issuer, unit)
) WITHOUT ROWID, STRICT;

-- The closing trial balance of a period.
CREATE TABLE trial_balance (
    period INTEGER NOT NULL,
    issuer BLOB NOT NULL,
    unit INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (period, issuer, unit, kind)
) WITHOUT ROWID, STRICT;
