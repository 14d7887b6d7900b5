-- Format 15: numbered seats whose tickets are sold over a counter, by installation numbers.

-- Each belongs to one number of a batch, from its order on; it is not free in `seat`.
CREATE TABLE seat_printed (
    event BLOB NOT NULL,
    seat INTEGER NOT NULL,           -- its number in the event's plan
    issuer BLOB NOT NULL,            -- the number ...
    batch INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    PRIMARY KEY (event, seat)
) WITHOUT ROWID;
CREATE UNIQUE INDEX seat_printed_number ON seat_printed (issuer, batch, serial);
