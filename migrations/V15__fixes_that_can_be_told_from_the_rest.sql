-- What people said can be told from what machines said: in every row, in the history, and in time also for a picture
-- that thousands list.

-- Rows in which a person corrected something, and rows whose image could not be had or read, are few among many.
-- (Workers and schedulers of before merged a fix without noting it in `fix`; such a row has `base`.)
-- For the days to come, whose partitions get them as they are made: to read those that are full would hold up workers
-- for as long as it takes, and in some weeks they are gone.
-- An update that sets `reason`, `fix` or `base` touches the other indexes of its partition as well from now on, whether the row
-- is of these few before or after: Postgres counts the columns of a predicate as indexed. That is what the index costs for
-- each image that is skipped, defaulted, superseded or corrected; whoever has an ordinary outcome pays nothing.
CREATE INDEX scrape_images_fixed ON ONLY scrape_images (scrape, seq) WHERE coalesce(fix <> '{}', base IS NOT NULL);
CREATE INDEX scrape_images_failed ON ONLY scrape_images (scrape, seq) WHERE reason IS NOT NULL;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'scrape_images'::regclass
           AND c.relname > 'scrape_images_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')
    LOOP
        EXECUTE format('CREATE INDEX %I ON %I (scrape, seq) WHERE coalesce(fix <> ''{}'', base IS NOT NULL)',
                       name || '_fixed', name);
        EXECUTE format('ALTER INDEX scrape_images_fixed ATTACH PARTITION %I', name || '_fixed');
        EXECUTE format('CREATE INDEX %I ON %I (scrape, seq) WHERE reason IS NOT NULL', name || '_failed', name);
        EXECUTE format('ALTER INDEX scrape_images_failed ATTACH PARTITION %I', name || '_failed');
    END LOOP;
END $$;
COMMENT ON COLUMN scrape_images.fix IS 'All fixes for this image and advertiser that its tags have; NULL: none, or, where there is a base, those of fixes_for, merged by a program of before this column was kept.';

-- What the models had said when a person spoke: training data and receivers of tag.fixed would otherwise have to guess.
ALTER TABLE fix_history ADD COLUMN machine jsonb;
COMMENT ON COLUMN fix_history.machine IS 'What the models had said of the attribute then, a string or null; NULL: nothing, or nobody noted it yet.';

-- As before, and with what the models had said, by the set that looked last.
CREATE OR REPLACE FUNCTION note_fix() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    image uuid := coalesce(NEW.image_id, OLD.image_id);
    machine jsonb;
    entry bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('tagfleet fix_history', 0));
    SELECT t.tags -> coalesce(NEW.attribute, OLD.attribute) INTO machine FROM image_tags t WHERE t.image_id = image
     ORDER BY greatest(t.validated_at, t.tagged_at) DESC LIMIT 1;
    IF TG_OP = 'DELETE' THEN
        INSERT INTO fix_history (image_id, advertiser_id, attribute, action, from_value, fixed_by, note, machine)
        VALUES (OLD.image_id, OLD.advertiser_id, OLD.attribute, 'withdrawn', OLD.value,
                coalesce(nullif(current_setting('tagfleet.person', true), ''), OLD.fixed_by),
                nullif(current_setting('tagfleet.note', true), ''), machine)
        RETURNING id INTO entry;
    ELSE
        INSERT INTO fix_history (image_id, advertiser_id, attribute, action, from_value, to_value, fixed_by, note, machine)
        VALUES (NEW.image_id, NEW.advertiser_id, NEW.attribute, 'set',
                CASE WHEN TG_OP = 'UPDATE' THEN OLD.value END, NEW.value, NEW.fixed_by, NEW.note, machine)
        RETURNING id INTO entry;
    END IF;
    INSERT INTO fix_outbox VALUES (entry);
    INSERT INTO pending_fixes VALUES (image) ON CONFLICT (image_id) DO UPDATE SET requested_at = now();
    RETURN NULL;
END $$;

-- The pass of apply_fixes_to, in pieces: a picture that stands for thousands of others has more rows than one statement
-- should hold. Call it in a
-- transaction of its own: it passes over at most `most` rows of `images` behind the place `from_*`, and tells where it
-- came to; `to_day` is NULL behind the last piece. Give the next piece what this one told.
--
-- Between two pieces a newer fix may come, with a pass of its own: each piece reads `fixes` after it has the lock, so
-- whichever piece is the last over a row has seen every fix. The request in pending_fixes goes with the last piece, and
-- only if nobody has renewed it since the first, whose rows would lack what the newer one asks for.
CREATE FUNCTION apply_fixes_behind(
    images uuid[], most int, from_day date, from_scrape bigint, from_seq int, known text[],
    OUT rows int, OUT to_day date, OUT to_scrape bigint, OUT to_seq int, OUT requests text[]
) LANGUAGE plpgsql
    -- By keys, and planned once for a connection: see V13.
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    days date[];
    keys bigint[];
    seqs int[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(image::text, 1))
       FROM (SELECT DISTINCT image FROM unnest(images) AS image ORDER BY image) AS in_order;
    requests := coalesce(known, ARRAY(SELECT image_id || ' ' || xmin FROM pending_fixes WHERE image_id = ANY(images)));
    -- In the order in which workers take them, so that two rarely wait for each other.
    SELECT array_agg(day), array_agg(scrape), array_agg(seq) INTO days, keys, seqs
      FROM (SELECT day, scrape, seq FROM scrape_images
             WHERE image_id = ANY(images) AND day >= coalesce(from_day, '-infinity')
               AND (from_day IS NULL OR (day, scrape, seq) > (from_day, from_scrape, from_seq))
             ORDER BY day, scrape, seq LIMIT most FOR UPDATE) AS piece;
    UPDATE scrape_images s
       SET fix  = f.fix,
           base = CASE WHEN s.outcome IS NOT NULL THEN coalesce(s.base, s.tags) END,
           tags = CASE WHEN s.outcome IS NOT NULL THEN coalesce(s.base, s.tags) || f.fix END
      FROM (SELECT i.day, i.scrape, i.seq, fixes_for(i.image_id, c.advertiser_id) AS fix
              FROM unnest(days, keys, seqs) AS p (day, scrape, seq)
              JOIN scrape_images i ON i.day = p.day AND i.scrape = p.scrape AND i.seq = p.seq
              JOIN scrapes c ON c.key = i.scrape OFFSET 0) AS f
     WHERE s.day = f.day AND s.scrape = f.scrape AND s.seq = f.seq;
    rows := coalesce(cardinality(days), 0);
    IF rows < most THEN
        -- Locked in one order: whoever corrects many holds these rows in the same.
        DELETE FROM pending_fixes WHERE image_id IN (
            SELECT image_id FROM pending_fixes WHERE image_id = ANY(images) AND image_id || ' ' || xmin = ANY(requests)
             ORDER BY image_id FOR UPDATE);
    ELSE
        to_day := days[rows];
        to_scrape := keys[rows];
        to_seq := seqs[rows];
    END IF;
END $$;
