-- A picture that its pipeline knows by a key may be at another address tomorrow: what failed is an address.

ALTER TABLE image_failures ADD COLUMN url_id uuid;
COMMENT ON COLUMN image_failures.url_id IS 'A hash of the URL that failed: another one is asked. NULL (of an older version): nobody knows, so any is asked.';
