-- What people need who correct tags: the classes to choose from, a feed of what was corrected that misses
-- nothing, and one pass over the rows of many images.

-- Of the manifest of a set, since workers tell it; NULL and '[]' for sets of before.
ALTER TABLE model_sets
    ADD COLUMN description text,
    ADD COLUMN card        text,
    ADD COLUMN attributes  jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN loaded_at   timestamptz;
COMMENT ON COLUMN model_sets.card IS 'The card.md beside its manifest: what it can and cannot do.';
COMMENT ON COLUMN model_sets.attributes IS '[{name, classes: [value], default}], in the order in which they are decided.';
COMMENT ON COLUMN model_sets.loaded_at IS 'When a worker last began to work with it: the live set is the one with the latest.';

-- Every fix is published as tag.fixed: by whoever takes its line out of here, in one transaction with the broker's
-- confirm before its commit. So none is lost with a process or while the broker is away.
CREATE TABLE fix_outbox (
    history bigint PRIMARY KEY
);
COMMENT ON TABLE fix_outbox IS 'Entries of fix_history that are not published yet. Emptied by the console.';

CREATE INDEX fix_history_at ON fix_history (at);
-- For the pictures over which people disagree.
CREATE INDEX fixes_attribute ON fixes (attribute, image_id);
-- An image without a key is found by its URL's own id; one with a key only here.
CREATE INDEX scrape_images_url ON scrape_images (hashtextextended(url, 0)) WHERE image_key IS NOT NULL;

-- As before, and: the note of a withdrawal is tagfleet.note; the entry goes into the outbox; and whoever takes
-- the lock 'tagfleet fix_history' for himself knows that all entries up to the last are there, or never will be.
CREATE OR REPLACE FUNCTION note_fix() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    image uuid := coalesce(NEW.image_id, OLD.image_id);
    entry bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('tagfleet fix_history', 0));
    IF TG_OP = 'DELETE' THEN
        INSERT INTO fix_history (image_id, advertiser_id, attribute, action, from_value, fixed_by, note)
        VALUES (OLD.image_id, OLD.advertiser_id, OLD.attribute, 'withdrawn', OLD.value,
                coalesce(nullif(current_setting('tagfleet.person', true), ''), OLD.fixed_by),
                nullif(current_setting('tagfleet.note', true), ''))
        RETURNING id INTO entry;
    ELSE
        INSERT INTO fix_history (image_id, advertiser_id, attribute, action, from_value, to_value, fixed_by, note)
        VALUES (NEW.image_id, NEW.advertiser_id, NEW.attribute, 'set',
                CASE WHEN TG_OP = 'UPDATE' THEN OLD.value END, NEW.value, NEW.fixed_by, NEW.note)
        RETURNING id INTO entry;
    END IF;
    INSERT INTO fix_outbox VALUES (entry);
    INSERT INTO pending_fixes VALUES (image) ON CONFLICT (image_id) DO UPDATE SET requested_at = now();
    RETURN NULL;
END $$;

-- The pass of apply_fixes over the rows of many images, in one transaction. See V1 for why no fix is
-- lost. (Under the old name older processes could not tell which is meant.)
CREATE FUNCTION apply_fixes_to(images uuid[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    rows int;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(image::text, 1))
       FROM (SELECT DISTINCT image FROM unnest(images) AS image ORDER BY image) AS in_order;
    DELETE FROM pending_fixes WHERE image_id = ANY(images);
    -- In the order in which workers take them, so that two rarely wait for each other.
    PERFORM FROM scrape_images WHERE image_id = ANY(images) ORDER BY scrape, seq FOR UPDATE;
    UPDATE scrape_images s
       SET fix  = f.fix,
           base = CASE WHEN s.outcome IS NOT NULL THEN coalesce(s.base, s.tags) END,
           tags = CASE WHEN s.outcome IS NOT NULL THEN coalesce(s.base, s.tags) || f.fix END
      FROM (SELECT i.day, i.scrape, i.seq, fixes_for(i.image_id, c.advertiser_id) AS fix
              FROM scrape_images i JOIN scrapes c ON c.key = i.scrape
             WHERE i.image_id = ANY(images) OFFSET 0) AS f
     WHERE s.day = f.day AND s.scrape = f.scrape AND s.seq = f.seq;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows;
END $$;

CREATE OR REPLACE FUNCTION apply_fixes(image uuid) RETURNS int LANGUAGE sql AS $$
    SELECT apply_fixes_to(ARRAY[image])
$$;
