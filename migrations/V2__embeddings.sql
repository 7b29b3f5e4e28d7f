-- Embeddings, where they are stored: see docs/EMBEDDINGS.md.

-- By the bytes that were looked at, not by image: the same bytes under another
-- key have the same vector, and image_tags says which image has which bytes. No
-- look-up of a worker reads this table.
CREATE TABLE embeddings (
    bytes_hash uuid NOT NULL,
    model_set  int NOT NULL REFERENCES model_sets (id),
    embedding  bytea NOT NULL CHECK (octet_length(embedding) > 0 AND octet_length(embedding) % 2 = 0),
    PRIMARY KEY (bytes_hash, model_set)
);
-- Compressing such numbers costs time and saves nothing.
ALTER TABLE embeddings ALTER COLUMN embedding SET STORAGE EXTERNAL;
COMMENT ON TABLE embeddings IS 'What one model set made of one picture in numbers; only where models.store_embeddings is on.';
COMMENT ON COLUMN embeddings.embedding IS 'float16, little-endian, all finite: two bytes for each number.';

-- The numbers of an embedding. They are finite, so no bits stand for infinity.
CREATE FUNCTION float16_numbers(embedding bytea) RETURNS real[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg((CASE WHEN bits >= 32768 THEN -1 ELSE 1 END
                      * CASE WHEN exponent = 0 THEN fraction * 2::float8 ^ (-24)
                             ELSE (1024 + fraction) * 2::float8 ^ (exponent - 25) END)::real ORDER BY n)
      FROM generate_series(0, octet_length(embedding) / 2 - 1) AS n,
           LATERAL (SELECT get_byte(embedding, 2 * n) + 256 * get_byte(embedding, 2 * n + 1) AS bits) AS half,
           LATERAL (SELECT (bits / 1024) % 32 AS exponent, bits % 1024 AS fraction) AS parts
$$;

CREATE VIEW image_embeddings AS
SELECT t.image_id, m.name AS model_set, m.digest, octet_length(e.embedding) / 2 AS dimensions, e.embedding
  FROM image_tags t JOIN embeddings e USING (bytes_hash, model_set) JOIN model_sets m ON m.id = t.model_set;
COMMENT ON VIEW image_embeddings IS 'The embedding of every image that has one, for each model set; of the same bytes, the same.';
