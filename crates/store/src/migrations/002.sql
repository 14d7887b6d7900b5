-- Format 2: the turn of its update that a device sends next. An earlier one is a device gone back, or an old request that
-- somebody carries again (R14). Devices that were heard before this format begin at 0, below whatever they send.

ALTER TABLE device ADD COLUMN turns INTEGER NOT NULL DEFAULT 0;
