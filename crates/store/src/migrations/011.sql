-- Format 11: calls, and with which key a ticket was shown.

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

-- Of a generation that was given to two, each is shown with another key.

ALTER TABLE admission ADD COLUMN holder BLOB NOT NULL DEFAULT x''; -- the key that signed

-- What was shown before: by the generation's own key, except where a hand-over of it did not count.
UPDATE admission SET holder = coalesce((SELECT key FROM generation
    WHERE generation.card = admission.card AND generation.generation = admission.generation), x'')
    WHERE NOT EXISTS (SELECT 1 FROM exception WHERE exception.card = admission.card
    AND exception.generation < admission.generation AND exception.kind IN (4, 6, 17));
