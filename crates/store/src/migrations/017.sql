-- Format 17: seats moved by a change of their event.

-- Where a change moves a seat.
CREATE TABLE seat_move (
    change BLOB NOT NULL,
    seat INTEGER NOT NULL,           -- its number in the event's plan
    onto INTEGER NOT NULL,           -- the one in its place
    PRIMARY KEY (change, seat)
) WITHOUT ROWID;

-- seat.free is 2 where a change has moved a seat's ticket away: it is empty, and not sold any more.
-- seat_taken and seat_printed say who has a seat now; purchase.seat which one was bought.
CREATE INDEX seat_taken_purchase ON seat_taken (wallet, purchase);
-- The seat that a number was ordered for, where it has another one now.
ALTER TABLE seat_printed ADD COLUMN ordered INTEGER;

-- What people are told of a change: its body is long where it moves many seats. NULL: of before this format, in the body alone.
ALTER TABLE change ADD COLUMN text TEXT;
