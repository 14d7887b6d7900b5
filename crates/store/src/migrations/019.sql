-- Format 19: a change that was refused stays refused.

-- A promoter that was told no says its change otherwise: the same bytes, brought again late by the network, shall not do what they say.
CREATE TABLE change_refused (
    change BLOB PRIMARY KEY,
    why INTEGER NOT NULL,
    text TEXT,                       -- what the promoter was told; NULL: what the reason means
    at INTEGER NOT NULL
) WITHOUT ROWID;
