-- Format 11: calls.

-- Calls (kind 8): what of the last check was used, by the switch; absent while the end is not known.
ALTER TABLE event ADD COLUMN used INTEGER;

-- What calls cost, by the issuers of the cards that pay them.
CREATE TABLE tariff (
    issuer BLOB NOT NULL,
    unit INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,              -- by which calls' own tariffs name it
    body BLOB NOT NULL,              -- signed by the issuer
    PRIMARY KEY (issuer, unit, number)
) WITHOUT ROWID;
