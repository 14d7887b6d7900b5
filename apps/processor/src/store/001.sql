-- The transaction processor's database. Rows lead with the provider that they belong to; amounts are minor units; times are UTC seconds.
CREATE TABLE processor (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  party BLOB NOT NULL, name TEXT NOT NULL, key BLOB NOT NULL, sealing BLOB NOT NULL,
  acquirer TEXT NOT NULL, -- our code at the bank (field 32): part of what its answers are found by, so it never changes
  stan INTEGER NOT NULL, -- the last trace number given to a message about money, 1 to 899999
  sequence INTEGER NOT NULL -- the last authorization's number, from which its reference at the bank is made
) STRICT;
CREATE TABLE provider (
  party BLOB NOT NULL, key BLOB NOT NULL, name TEXT NOT NULL, admitted INTEGER NOT NULL, revoked INTEGER,
  PRIMARY KEY (party, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE account (
  provider BLOB NOT NULL, account BLOB NOT NULL, opened INTEGER NOT NULL,
  code TEXT, category INTEGER, name TEXT, -- a merchant's; NULL: a user's
  PRIMARY KEY (provider, account)
) STRICT, WITHOUT ROWID;
-- Card numbers, encrypted under a key that is not in this file. Nothing else here holds any part of one.
CREATE TABLE vault (account BLOB PRIMARY KEY, nonce BLOB NOT NULL UNIQUE, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;
-- Every request by its number: its hash, and its answer once that is final. Kind 0: asked about before it came, and closed.
CREATE TABLE request (
  provider BLOB NOT NULL, number BLOB NOT NULL, hash BLOB NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL,
  authorization BLOB, -- which authorization it is about
  answer BLOB,
  PRIMARY KEY (provider, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_waiting ON request (provider, authorization) WHERE answer IS NULL;
CREATE TABLE authorization (
  provider BLOB NOT NULL, number BLOB NOT NULL, sequence INTEGER NOT NULL UNIQUE, at INTEGER NOT NULL,
  user BLOB NOT NULL, merchant BLOB NOT NULL, unit INTEGER NOT NULL, amount INTEGER NOT NULL, option INTEGER NOT NULL,
  sale INTEGER NOT NULL, machine BLOB NOT NULL, partial INTEGER NOT NULL,
  state INTEGER NOT NULL, approved INTEGER NOT NULL, code TEXT,
  stan INTEGER NOT NULL, sent INTEGER NOT NULL, -- of the 0100
  clearing BLOB UNIQUE, captured INTEGER NOT NULL, captured_stan INTEGER, captured_sent INTEGER, -- of the 0200
  refunded INTEGER NOT NULL, refunding INTEGER NOT NULL,
  PRIMARY KEY (provider, number)
) STRICT, WITHOUT ROWID;
-- Every message to the bank about money, written before it is sent.
CREATE TABLE asked (
  id INTEGER PRIMARY KEY, provider BLOB NOT NULL, number BLOB NOT NULL, authorization BLOB NOT NULL,
  purpose INTEGER NOT NULL, stan INTEGER NOT NULL, sent INTEGER NOT NULL, amount INTEGER NOT NULL,
  response TEXT, -- the bank's answer; 'silent': none came in time
  open INTEGER NOT NULL
) STRICT;
CREATE INDEX asked_open ON asked (id) WHERE open = 1;
CREATE INDEX asked_trace ON asked (stan);
CREATE INDEX asked_authorization ON asked (provider, authorization);
-- What users were charged for merchants (paid back: negative).
CREATE TABLE posting (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, provider BLOB NOT NULL, number BLOB NOT NULL, clearing BLOB NOT NULL,
  user BLOB NOT NULL, merchant BLOB NOT NULL, unit INTEGER NOT NULL, amount INTEGER NOT NULL,
  UNIQUE (provider, number)
) STRICT;
-- What was refused or fitted nothing, with its reason: for a person to look at.
CREATE TABLE refusal (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, why TEXT NOT NULL, sender BLOB, hash BLOB
) STRICT;
