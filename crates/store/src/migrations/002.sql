-- Format 2: what tells an old request from a new one, and how long an entry waited.

-- The turn of its update that a device sends next. An earlier one is a device gone back, or an old request that somebody
-- carries again (R14). Devices that were heard before this format begin at 0, below whatever they send.
ALTER TABLE device ADD COLUMN turns INTEGER NOT NULL DEFAULT 0;
-- The acknowledged update before the oldest entry that it has said to have and not sent; absent where there is none (R11).
ALTER TABLE device ADD COLUMN waiting INTEGER;
