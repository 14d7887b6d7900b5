-- Format 7: a processor whose key is not to be believed any more.
ALTER TABLE processor ADD COLUMN revoked INTEGER; -- since when
