-- Format 12: since when tariffs count.

ALTER TABLE tariff ADD COLUMN at INTEGER; -- when the provider took it in; absent for those before this format
