-- Format 3: credit. What both lines asked for, what the processor was asked, and what it answered.

-- The transaction processing system that this provider clears with.
CREATE TABLE processor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    info BLOB NOT NULL,              -- ProcessorInfo
    url TEXT NOT NULL,
    customer_key BLOB NOT NULL,      -- secret from which customer numbers are made
    at INTEGER NOT NULL
) STRICT;

-- Clearing accounts at the processor: of wallets and of merchants.
CREATE TABLE clearing_account (
    subject BLOB PRIMARY KEY,        -- wallet's device or merchant's party
    request BLOB NOT NULL,           -- hash of what the subject asked, or of what the operator gave
    asked BLOB NOT NULL,             -- number of the OpenAccount
    account BLOB,                    -- once it is open
    refused INTEGER                  -- core CreditRefusal, once it is clear that it will not be
) WITHOUT ROWID, STRICT;

-- What the processor is asked, until it is answered for good (R26). The number is the idempotency key.
CREATE TABLE asked (
    number BLOB PRIMARY KEY,
    hash BLOB NOT NULL,              -- of the body
    body BLOB NOT NULL,              -- signed request, sent as it is until it is answered
    machine BLOB,                    -- the payment that it is about ...
    offer BLOB,
    subject BLOB,                    -- ... or the account
    at INTEGER NOT NULL,
    due INTEGER,                     -- when it is sent next; absent once it is answered for good
    answer BLOB                      -- the last answer that was for good
) WITHOUT ROWID, STRICT;
CREATE INDEX asked_due ON asked (due) WHERE due IS NOT NULL;

-- A payment by credit: one offer at one accounting machine (R23).
CREATE TABLE credit (
    machine BLOB NOT NULL,
    offer BLOB NOT NULL,             -- hash of the offer in its session
    state INTEGER NOT NULL,          -- core CreditState
    why INTEGER,                     -- core CreditRefusal
    request BLOB NOT NULL,           -- the wallet's request number
    option INTEGER NOT NULL,         -- payment option code
    merchant BLOB,
    merchant_line BLOB,              -- Line
    expires INTEGER,                 -- of the charge
    merchant_hash BLOB,
    merchant_body BLOB,              -- Signed<AuthorizationRequest>
    wallet BLOB,
    user_line BLOB,                  -- Line
    user_hash BLOB,
    user_body BLOB,                  -- Signed<PaymentRequest>
    authorization BLOB,              -- number of the Authorize
    authorized INTEGER,              -- when it was known to be approved
    clearing_hash BLOB,
    clearing_body BLOB,              -- Signed<ClearingRequest> [13550]
    clear BLOB,                      -- number of the Clear
    void BLOB,                       -- number of the VoidAuthorization
    clearing BLOB,                   -- the processor's clearing number
    completion BLOB,                 -- Signed<ClearingCompletion> [8417]
    notification BLOB,               -- Signed<ClearingNotification> [8418], as sent
    receipt BLOB,                    -- Signed<MerchantReceipt> [8419]
    at INTEGER NOT NULL,
    ended INTEGER,
    PRIMARY KEY (machine, offer)
) WITHOUT ROWID, STRICT;
CREATE INDEX credit_open ON credit (at) WHERE ended IS NULL;
-- One processor makes up these numbers; a number seen before convicts it.
CREATE INDEX credit_clearing ON credit (clearing) WHERE clearing IS NOT NULL;
