-- The first schema. See docs/ARCHITECTURE.md for who writes which table.

-- Model sets -----------------------------------------------------------------

CREATE TABLE model_sets (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest       text NOT NULL UNIQUE,
    name         text NOT NULL,
    feed_exclude jsonb NOT NULL DEFAULT '{}',
    first_seen   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE model_sets IS 'Every model set that ever spoke; rows elsewhere name it by id.';
COMMENT ON COLUMN model_sets.feed_exclude IS 'From the manifest, {attribute: [value]}: images with one of these values are not in feed_images.';

-- Scrapes and their images ---------------------------------------------------

CREATE TABLE scrapes (
    key           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scrape_id     text NOT NULL UNIQUE,
    advertiser_id text NOT NULL,
    lane          text NOT NULL,
    state         text NOT NULL DEFAULT 'fanning_out'
                  CHECK (state IN ('fanning_out', 'tagging', 'tagged', 'refused')),
    day           date NOT NULL,
    finished_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    listed        int NOT NULL DEFAULT 0,
    published     int NOT NULL DEFAULT 0,
    published_at  timestamptz,
    superseded_by bigint REFERENCES scrapes (key),
    swept_at      timestamptz,
    sweeps        int NOT NULL DEFAULT 0,
    outcomes      jsonb,
    tagged_at     timestamptz,
    announced_at  timestamptz
);
COMMENT ON COLUMN scrapes.scrape_id IS 'What the scrape pipeline calls it; key is our own short name.';
COMMENT ON COLUMN scrapes.state IS 'refused: nothing of its inventory could be read; its event can be sent again.';
COMMENT ON COLUMN scrapes.listed IS 'Images recorded in scrape_images so far.';
COMMENT ON COLUMN scrapes.published IS 'Of these, images whose job the broker has confirmed: where a fan-out resumes.';
CREATE INDEX scrapes_unfinished ON scrapes (advertiser_id) WHERE state IN ('fanning_out', 'tagging');
CREATE INDEX scrapes_unannounced ON scrapes (state, key) WHERE announced_at IS NULL;
CREATE INDEX scrapes_of_advertiser ON scrapes (advertiser_id, finished_at DESC);

-- fillfactor: an outcome is written once into every row; the space lets that
-- update stay on its page and touch no index.
CREATE TABLE scrape_images (
    day         date NOT NULL,
    scrape      bigint NOT NULL,
    seq         int NOT NULL,
    image_id    uuid NOT NULL,
    url         text NOT NULL,
    image_key   text,
    listing_id  text,
    position    int,
    configured  jsonb,
    fix         jsonb,
    outcome     text CHECK (outcome IN ('inferred', 'cached', 'matched', 'skipped', 'defaulted')),
    reason      text,
    tags        jsonb,
    base        jsonb,
    model_set   int,
    recorded_at timestamptz,
    PRIMARY KEY (scrape, seq, day)
) PARTITION BY RANGE (day);
CREATE INDEX scrape_images_image ON scrape_images (image_id);
COMMENT ON COLUMN scrape_images.seq IS 'Place in the inventory, from 0.';
COMMENT ON COLUMN scrape_images.tags IS 'The valid tags: what the models said, then what the scrape configured, then fixes.';
COMMENT ON COLUMN scrape_images.base IS 'The tags without fixes, where fixes changed them.';
COMMENT ON COLUMN scrape_images.fix IS 'All fixes for this image and advertiser, set by apply_fixes; NULL until there was one.';

-- What was recorded, batch by batch. Only ever inserted into, so workers that
-- work on one scrape never wait for each other; summed by the scheduler.
CREATE TABLE scrape_progress (
    scrape      bigint NOT NULL,
    outcome     text NOT NULL,
    images      int NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX scrape_progress_scrape ON scrape_progress (scrape);

CREATE FUNCTION ensure_partition(for_day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'scrape_images_' || to_char(for_day, 'YYYYMMDD');
BEGIN
    IF to_regclass(name) IS NULL THEN
        -- A new partition locks the parent for a moment. Behind a long reader
        -- (a backup) it must not queue: everybody else would queue behind it.
        PERFORM set_config('lock_timeout', '2s', true);
        PERFORM pg_advisory_xact_lock(hashtextextended('tagfleet ensure_partition', 0));
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I PARTITION OF scrape_images FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = 70)',
            name, for_day, for_day + 1);
    END IF;
END $$;

CREATE FUNCTION drop_partitions_before(first_kept date) RETURNS int LANGUAGE plpgsql AS $$
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
           AND NOT EXISTS (SELECT FROM scrapes s WHERE s.state IN ('fanning_out', 'tagging')
                              AND c.relname = 'scrape_images_' || to_char(s.day, 'YYYYMMDD'))
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

-- What the models said, by image ----------------------------------------------

CREATE TABLE image_tags (
    image_id   uuid NOT NULL,
    model_set  int NOT NULL REFERENCES model_sets (id),
    tags       jsonb NOT NULL,
    scores     jsonb NOT NULL,
    bytes_hash uuid NOT NULL,
    width      int NOT NULL,
    height     int NOT NULL,
    tagged_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (image_id, model_set)
);
CREATE INDEX image_tags_bytes ON image_tags (bytes_hash, model_set);
COMMENT ON TABLE image_tags IS 'The second cache tier: only what models said, never a fix, never a failure.';

CREATE TABLE image_failures (
    image_id uuid PRIMARY KEY,
    outcome  text NOT NULL CHECK (outcome IN ('skipped', 'defaulted')),
    reason   text NOT NULL,
    until    timestamptz NOT NULL
);
CREATE INDEX image_failures_until ON image_failures (until);
COMMENT ON TABLE image_failures IS 'Images that could not be had or read a short while ago: not asked for again before `until`.';

-- Fixes by people --------------------------------------------------------------

-- advertiser_id '' means everyone.
CREATE TABLE fixes (
    image_id      uuid NOT NULL,
    advertiser_id text NOT NULL DEFAULT '',
    attribute     text NOT NULL,
    value         text,
    fixed_by      text NOT NULL,
    note          text,
    fixed_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (image_id, advertiser_id, attribute)
);

CREATE TABLE fix_history (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    image_id      uuid NOT NULL,
    advertiser_id text NOT NULL,
    attribute     text NOT NULL,
    action        text NOT NULL CHECK (action IN ('set', 'withdrawn')),
    from_value    text,
    to_value      text,
    fixed_by      text NOT NULL,
    note          text,
    at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX fix_history_image ON fix_history (image_id, id);

-- Images whose rows must be passed over again because a fix changed. Written
-- by the fix's own transaction, emptied by apply_fixes, swept by the scheduler:
-- a pass that was lost with its process is made up for.
CREATE TABLE pending_fixes (
    image_id     uuid PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION note_fix() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO fix_history (image_id, advertiser_id, attribute, action, from_value, fixed_by, note)
        VALUES (OLD.image_id, OLD.advertiser_id, OLD.attribute, 'withdrawn', OLD.value,
                coalesce(nullif(current_setting('tagfleet.person', true), ''), OLD.fixed_by), NULL);
        INSERT INTO pending_fixes VALUES (OLD.image_id) ON CONFLICT (image_id) DO UPDATE SET requested_at = now();
        RETURN OLD;
    END IF;
    INSERT INTO fix_history (image_id, advertiser_id, attribute, action, from_value, to_value, fixed_by, note)
    VALUES (NEW.image_id, NEW.advertiser_id, NEW.attribute, 'set',
            CASE WHEN TG_OP = 'UPDATE' THEN OLD.value END, NEW.value, NEW.fixed_by, NEW.note);
    INSERT INTO pending_fixes VALUES (NEW.image_id) ON CONFLICT (image_id) DO UPDATE SET requested_at = now();
    RETURN NEW;
END $$;
CREATE TRIGGER note_fix AFTER INSERT OR UPDATE OR DELETE ON fixes FOR EACH ROW EXECUTE FUNCTION note_fix();

CREATE FUNCTION history_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'fix_history is append-only';
END $$;
CREATE TRIGGER history_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON fix_history
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final();

-- All fixes that hold for an image as one advertiser sees it; the advertiser's
-- own win over those for everyone (the last of equal keys stays).
CREATE FUNCTION fixes_for(image uuid, advertiser text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(attribute, value ORDER BY advertiser_id), '{}')
      FROM fixes WHERE image_id = image AND advertiser_id IN ('', advertiser)
$$;

-- The pass over the rows that follows a fix's commit. Call it in a transaction
-- of its own. The lock makes passes over one image take turns, and each reads
-- `fixes` after it has the lock, so the last pass has seen every fix.
--
-- A worker that writes such a row at the same time either commits first, and
-- this UPDATE waits for it and corrects its row, or writes after, and then the
-- merge in its own UPDATE is evaluated again on the row as this pass left it,
-- with `fix` set.
CREATE FUNCTION apply_fixes(image uuid) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    rows int;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(image::text, 1));
    DELETE FROM pending_fixes WHERE image_id = image;
    -- In the order in which workers take them, so that two rarely wait for each other.
    PERFORM FROM scrape_images WHERE image_id = image ORDER BY scrape, seq FOR UPDATE;
    UPDATE scrape_images s
       SET fix  = fixes_for(s.image_id, c.advertiser_id),
           base = CASE WHEN s.outcome IS NOT NULL THEN coalesce(s.base, s.tags) END,
           tags = CASE WHEN s.outcome IS NOT NULL
                       THEN coalesce(s.base, s.tags) || fixes_for(s.image_id, c.advertiser_id) END
      FROM scrapes c
     WHERE s.image_id = image AND c.key = s.scrape;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows;
END $$;

-- For people -------------------------------------------------------------------

CREATE VIEW scrape_overview AS
SELECT s.scrape_id, s.advertiser_id, s.lane, s.state, s.listed AS images,
       coalesce((SELECT sum(p.images) FROM scrape_progress p WHERE p.scrape = s.key),
                (SELECT sum(value::int) FROM jsonb_each_text(s.outcomes)), 0) AS ended,
       n.scrape_id AS superseded_by, s.finished_at, s.received_at, s.published_at, s.tagged_at, s.announced_at
  FROM scrapes s LEFT JOIN scrapes n ON n.key = s.superseded_by;

CREATE VIEW tagged_images AS
SELECT s.scrape_id, s.advertiser_id, i.seq, i.image_id, i.url, i.image_key, i.listing_id, i.position,
       i.outcome, i.reason, i.tags, i.fix, m.name AS model_set, i.recorded_at
  FROM scrape_images i JOIN scrapes s ON s.key = i.scrape LEFT JOIN model_sets m ON m.id = i.model_set;

-- A value excludes itself and what lies within it: "a" excludes "a/b".
CREATE VIEW feed_images AS
SELECT s.scrape_id, s.advertiser_id, i.seq, i.image_id, i.url, i.image_key, i.listing_id, i.position, i.tags
  FROM scrape_images i JOIN scrapes s ON s.key = i.scrape JOIN model_sets m ON m.id = i.model_set
 WHERE i.outcome <> 'skipped'
   AND NOT EXISTS (SELECT FROM jsonb_each(m.feed_exclude) AS rule, jsonb_array_elements_text(rule.value) AS excluded
                    WHERE starts_with((i.tags ->> rule.key) || '/', excluded || '/'));
COMMENT ON VIEW feed_images IS 'What a marketing feed may show: images that were had, without those that their model set excludes. Fixes count.';
