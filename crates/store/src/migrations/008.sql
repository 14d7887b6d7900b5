-- Format 8: events, their tickets, gates, and who was let in.

-- What a promoter plans, by its own signature; the last revision.
CREATE TABLE planned (
    event BLOB PRIMARY KEY,
    promoter BLOB NOT NULL,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL,              -- the signed plan
    changed INTEGER NOT NULL,        -- counts up with all that its gates must know
    cancelled INTEGER                -- since when it is
) WITHOUT ROWID;

-- Terms that tickets of an event have or had.
CREATE TABLE planned_terms (
    event BLOB NOT NULL,
    terms BLOB NOT NULL,
    replaced INTEGER,                -- since when a change has replaced them
    PRIMARY KEY (event, terms)
) WITHOUT ROWID;

-- What a card of kind ticket is for.
CREATE TABLE ticket (
    card BLOB PRIMARY KEY,
    event BLOB NOT NULL,
    seat INTEGER,                    -- its number in the event's plan
    used INTEGER NOT NULL,           -- entries used before the generation that it has now
    dead INTEGER NOT NULL,           -- up to this generation it lets nobody in; 0: none
    why INTEGER                      -- an EnterRefusal
) WITHOUT ROWID;
CREATE INDEX ticket_event ON ticket (event);

-- Seats that are reserved or sold, each by one purchase.
ALTER TABLE purchase ADD COLUMN seat INTEGER; -- of the event's plan
CREATE TABLE seat_taken (
    event BLOB NOT NULL,
    seat INTEGER NOT NULL,
    wallet BLOB NOT NULL,            -- the purchase ...
    purchase BLOB NOT NULL,
    PRIMARY KEY (event, seat)
) WITHOUT ROWID;

-- A gate's place.
CREATE TABLE gate (
    gate BLOB PRIMARY KEY,
    event BLOB NOT NULL,
    door INTEGER NOT NULL,
    zone INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    sent INTEGER NOT NULL,           -- the event's `changed` that it was set up with; 0: not yet
    order_body BLOB NOT NULL         -- the promoter's signed order
) WITHOUT ROWID;
CREATE INDEX gate_event ON gate (event);

-- What gates and wallets say that a ticket has shown and was let in with. One row for each presentation.
CREATE TABLE admission (
    card BLOB NOT NULL,
    zone INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    shown BLOB NOT NULL,             -- the presentation's or window's hash
    generation INTEGER NOT NULL,
    gate BLOB NOT NULL,
    number INTEGER NOT NULL,         -- of the entry in the gate's log
    at INTEGER NOT NULL,             -- by the gate's clock
    people INTEGER NOT NULL,
    done INTEGER NOT NULL,           -- 1 in, 2 out, 3 refused
    window INTEGER NOT NULL,         -- 1: by a window
    attempt INTEGER NOT NULL,        -- of this entry by its wallet; 0: a window
    earlier BLOB NOT NULL,           -- the attempts before it that it names, hash after hash
    gates INTEGER NOT NULL,          -- 1: the gate's own log has said it
    wallets INTEGER NOT NULL,        -- 1: the wallet's log has said it
    PRIMARY KEY (card, zone, entry, direction, shown)
) WITHOUT ROWID;
CREATE INDEX admission_gate ON admission (gate, number);
