-- Format 11: with which key a ticket was shown. Of a generation that was given to two, each has another.

ALTER TABLE admission ADD COLUMN holder BLOB NOT NULL DEFAULT x''; -- the key that signed

-- What was shown before: by the generation's own key, except where a hand-over of it did not count.
UPDATE admission SET holder = coalesce((SELECT key FROM generation
    WHERE generation.card = admission.card AND generation.generation = admission.generation), x'')
    WHERE NOT EXISTS (SELECT 1 FROM exception WHERE exception.card = admission.card
    AND exception.generation < admission.generation AND exception.kind IN (4, 6, 17));
