-- Format 2: what tells an old request from a new one, how long an entry waited, and cards with all that never changes.

-- The turn of its update that a device sends next. An earlier one is a device gone back, or an old request that somebody
-- carries again (R14). Devices that were heard before this format begin at 0, below whatever they send.
ALTER TABLE device ADD COLUMN turns INTEGER NOT NULL DEFAULT 0;
-- The acknowledged update before the oldest entry that it has said to have and not sent; absent where there is none (R11).
ALTER TABLE device ADD COLUMN waiting INTEGER;

-- The newest checkpoint of a card stands in the last answer to its wallet (device.reply); what never changes about the
-- card stands with it.
ALTER TABLE card ADD COLUMN face INTEGER NOT NULL DEFAULT 0;
ALTER TABLE card ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
UPDATE card SET (face, until) = (
    SELECT number_batch.face, valid_until FROM number JOIN number_batch USING (issuer, batch)
    WHERE number.card = card.card AND number.load IS NULL);
DROP TABLE checkpoint;
