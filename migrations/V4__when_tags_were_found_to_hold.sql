-- What is known of an image can be found to hold still: see cache.revalidate_after.

-- NULL where nobody has looked again, or asked to: then tagged_at counts.
ALTER TABLE image_tags
    ADD COLUMN validated_at  timestamptz,
    ADD COLUMN url_id        uuid,
    ADD COLUMN etag          text,
    ADD COLUMN last_modified text;
COMMENT ON COLUMN image_tags.tagged_at IS 'When the models looked at these bytes.';
COMMENT ON COLUMN image_tags.validated_at IS 'When the picture was last found to have these bytes; only where cache.revalidate_after is on.';
COMMENT ON COLUMN image_tags.url_id IS 'A hash of the URL that etag and last_modified are of: a server knows its own only.';
