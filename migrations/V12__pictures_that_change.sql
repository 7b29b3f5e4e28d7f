-- Pictures that change one at a time: `image.changed` in, micro-scrapes to work on them, `image.tagged` out.

-- A micro-scrape is 'changing' until all its images are announced, then 'changed'. Words of its own, so that
-- schedulers of before, which know none but the others, pass over it.
-- (Not validated: every row that is there kept the narrower rule.)
ALTER TABLE scrapes
    DROP CONSTRAINT scrapes_state_check,
    ADD CONSTRAINT scrapes_state_check
        CHECK (state IN ('fanning_out', 'tagging', 'tagged', 'refused', 'changing', 'changed')) NOT VALID,
    ADD COLUMN announced int NOT NULL DEFAULT 0;
COMMENT ON COLUMN scrapes.state IS 'refused: nothing of its inventory could be read; its event can be sent again. changing, changed: no inventory, but pictures that changed.';
COMMENT ON COLUMN scrapes.announced IS 'Of a micro-scrape: images that are announced.';

-- They go when their images do; those of inventories stay.
CREATE INDEX scrapes_changed ON scrapes (day) WHERE state = 'changed';

ALTER TABLE scrape_images
    ADD COLUMN change       text,
    ADD COLUMN changed_at   timestamptz,
    ADD COLUMN announced_at timestamptz,
    ADD COLUMN removed_at   timestamptz;
COMMENT ON COLUMN scrape_images.change IS 'added, replaced or removed, in a micro-scrape; NULL in an inventory.';
COMMENT ON COLUMN scrape_images.removed_at IS 'When the advertiser ceased to show it, if that was told by image.changed.';

-- The last change of each picture of each listing. It stays when it has been worked on, so that an event that
-- comes again, or late, is known as such.
CREATE TABLE image_changes (
    id            uuid PRIMARY KEY,
    advertiser_id text NOT NULL,
    image_id      uuid NOT NULL,
    change        text NOT NULL CHECK (change IN ('added', 'replaced', 'removed')),
    changed_at    timestamptz NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    replaced_at   timestamptz,
    url           text NOT NULL,
    image_key     text,
    listing_id    text,
    position      int,
    configured    jsonb,
    scrape        bigint
);
CREATE INDEX image_changes_waiting ON image_changes (received_at) WHERE scrape IS NULL;
CREATE INDEX image_changes_of_advertiser ON image_changes (advertiser_id) WHERE scrape IS NULL;
CREATE INDEX image_changes_image ON image_changes (image_id) WHERE replaced_at IS NOT NULL;
CREATE INDEX image_changes_replaced ON image_changes (replaced_at) WHERE replaced_at IS NOT NULL;
COMMENT ON COLUMN image_changes.id IS 'A hash of advertiser, image and listing.';
COMMENT ON COLUMN image_changes.received_at IS 'When the first event came of those that are worked on together.';
COMMENT ON COLUMN image_changes.replaced_at IS 'When the last event came that said so: what workers remember of the image from before is not true.';
COMMENT ON COLUMN image_changes.scrape IS 'The micro-scrape that it is in; NULL: it waits for one.';

-- A micro-scrape is no inventory, so it supersedes none. Said here because schedulers of before would let it
-- supersede an inventory that arrives late; that one is then superseded by nobody, and just tagged.
CREATE FUNCTION superseded_by_inventories_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM scrapes WHERE key = NEW.superseded_by AND state IN ('changing', 'changed')) THEN
        NEW.superseded_by := OLD.superseded_by;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER superseded_by_inventories_only BEFORE UPDATE OF superseded_by ON scrapes
    FOR EACH ROW WHEN (NEW.superseded_by IS NOT NULL) EXECUTE FUNCTION superseded_by_inventories_only();

-- As before, and the day of a micro-scrape in work is kept too.
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
                              AND c.relname = 'scrape_images_' || to_char(s.day, 'YYYYMMDD'))
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

-- As before, without pictures that were removed.
CREATE OR REPLACE VIEW feed_images AS
SELECT s.scrape_id, s.advertiser_id, i.seq, i.image_id, i.url, i.image_key, i.listing_id, i.position, i.tags,
       m.name AS model_set, m.digest
  FROM scrape_images i JOIN scrapes s ON s.key = i.scrape JOIN model_sets m ON m.id = i.model_set
 WHERE i.removed_at IS NULL
   AND (i.outcome NOT IN ('skipped', 'defaulted')
        OR i.outcome = 'defaulted' AND m.feed_exclude <> '{}'
           AND coalesce(i.fix, fixes_for(i.image_id, s.advertiser_id))
               ?& ARRAY(SELECT jsonb_object_keys(m.feed_exclude)))
   AND NOT EXISTS (SELECT FROM jsonb_each(m.feed_exclude) AS rule, jsonb_array_elements_text(rule.value) AS excluded
                    WHERE starts_with((i.tags ->> rule.key) || '/', excluded || '/'));

CREATE OR REPLACE VIEW tagged_images AS
SELECT s.scrape_id, s.advertiser_id, i.seq, i.image_id, i.url, i.image_key, i.listing_id, i.position,
       i.outcome, i.reason, i.tags, i.fix, m.name AS model_set, i.recorded_at, m.digest, t.scores,
       i.change, i.changed_at, i.removed_at
  FROM scrape_images i JOIN scrapes s ON s.key = i.scrape LEFT JOIN model_sets m ON m.id = i.model_set
  LEFT JOIN image_tags t ON t.image_id = i.image_id AND t.model_set = i.model_set;

-- As before; a picture that was removed is nobody's trouble, and a micro-scrape no scrape of the advertiser's.
CREATE OR REPLACE VIEW advertisers_in_trouble AS
WITH counted AS (
    SELECT advertiser_id, state, listed, received_at,
           coalesce((outcomes ->> 'skipped')::int, 0) AS skipped,
           coalesce((outcomes ->> 'defaulted')::int, 0) AS defaulted
      FROM scrapes WHERE received_at > now() - interval '1 day' AND superseded_by IS NULL
                     AND state NOT IN ('changing', 'changed')
)
SELECT advertiser_id, count(*) AS scrapes, sum(listed) AS images, sum(skipped) AS skipped, sum(defaulted) AS defaulted,
       round(100.0 * sum(skipped + defaulted) / nullif(sum(listed) FILTER (WHERE state = 'tagged'), 0), 1) AS percent,
       count(*) FILTER (WHERE state = 'refused') AS refused,
       now() - min(received_at) FILTER (WHERE state IN ('fanning_out', 'tagging')) AS waiting_since
  FROM counted GROUP BY advertiser_id
HAVING sum(skipped + defaulted) > 0 OR count(*) FILTER (WHERE state <> 'tagged') > 0
 ORDER BY sum(skipped + defaulted) DESC, waiting_since DESC NULLS LAST;

CREATE OR REPLACE VIEW hosts_in_trouble AS
SELECT lower(substring(i.url FROM '^[a-z]+://(?:[^/@]*@)?([^/:?#]+)')) AS host, i.outcome, i.reason,
       count(*) AS images, count(DISTINCT s.advertiser_id) AS advertisers, max(i.recorded_at) AS last
  FROM scrape_images i JOIN scrapes s ON s.key = i.scrape
 WHERE i.day >= (now() AT TIME ZONE 'UTC')::date - 1 AND i.reason IS NOT NULL
   AND i.reason NOT IN ('superseded', 'removed')
 GROUP BY 1, 2, 3 ORDER BY images DESC;
