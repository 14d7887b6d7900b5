-- Format 18: a signed change by itself. It is long where it moves many seats, and all that everybody reads of a change is short.

CREATE TABLE change_signed (
    change BLOB NOT NULL PRIMARY KEY, -- its hash
    body BLOB NOT NULL
);
INSERT INTO change_signed (change, body) SELECT change, body FROM change;
ALTER TABLE change DROP COLUMN body;
