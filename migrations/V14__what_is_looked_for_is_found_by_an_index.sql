-- Micro-scrapes go, and whoever may be superseded by one that goes is looked for.
CREATE INDEX scrapes_superseded_by ON scrapes (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX image_changes_done ON image_changes (received_at) WHERE scrape IS NOT NULL;

-- What became of the scrapes of the last hour.
CREATE INDEX scrapes_announced ON scrapes (announced_at) WHERE lane <> 'bulk';
CREATE INDEX scrapes_swept ON scrapes (swept_at) WHERE swept_at IS NOT NULL;

-- As before; that it is not announced is true of each scrape that it looks for, and lets it find them by an index.
CREATE OR REPLACE FUNCTION drop_partitions_before(first_kept date) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    name text;
    dropped int := 0;
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'scrape_images'::regclass
           AND c.relname < 'scrape_images_' || to_char(first_kept, 'YYYYMMDD')
           -- A scrape that is not tagged yet still needs its rows.
           AND NOT EXISTS (SELECT FROM scrapes s WHERE s.state IN ('fanning_out', 'tagging', 'changing')
                              AND s.announced_at IS NULL
                              AND c.relname = 'scrape_images_' || to_char(s.day, 'YYYYMMDD'))
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
