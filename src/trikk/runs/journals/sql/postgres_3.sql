-- Version 3. Subjects of the ledger are compared byte by byte, too, so that a prefix is a range.
ALTER TABLE $schema.ledger ALTER COLUMN subject TYPE text COLLATE "C";
