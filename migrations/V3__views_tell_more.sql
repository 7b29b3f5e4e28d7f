-- The views tell which model set spoke, where two have one name, and how sure
-- it was; a feed shows no image that nobody saw.

-- The scores are those that image_tags keeps: with every row of an image, also
-- where the models looked at it for another scrape.
CREATE OR REPLACE VIEW tagged_images AS
SELECT s.scrape_id, s.advertiser_id, i.seq, i.image_id, i.url, i.image_key, i.listing_id, i.position,
       i.outcome, i.reason, i.tags, i.fix, m.name AS model_set, i.recorded_at, m.digest, t.scores
  FROM scrape_images i JOIN scrapes s ON s.key = i.scrape LEFT JOIN model_sets m ON m.id = i.model_set
  LEFT JOIN image_tags t ON t.image_id = i.image_id AND t.model_set = i.model_set;
COMMENT ON COLUMN tagged_images.digest IS 'Of the model set: two sets may have one name.';
COMMENT ON COLUMN tagged_images.scores IS 'How sure the models were; of what they said, not of fixes or configured values.';

-- A value excludes itself and what lies within it: "a" excludes "a/b". The tags
-- of a defaulted image are those of any image that cannot be read: it is shown
-- only where fixes name each attribute that a rule is about.
CREATE OR REPLACE VIEW feed_images AS
SELECT s.scrape_id, s.advertiser_id, i.seq, i.image_id, i.url, i.image_key, i.listing_id, i.position, i.tags,
       m.name AS model_set, m.digest
  FROM scrape_images i JOIN scrapes s ON s.key = i.scrape JOIN model_sets m ON m.id = i.model_set
 WHERE (i.outcome NOT IN ('skipped', 'defaulted')
        OR i.outcome = 'defaulted' AND m.feed_exclude <> '{}'
           AND coalesce(i.fix, fixes_for(i.image_id, s.advertiser_id))
               ?& ARRAY(SELECT jsonb_object_keys(m.feed_exclude)))
   AND NOT EXISTS (SELECT FROM jsonb_each(m.feed_exclude) AS rule, jsonb_array_elements_text(rule.value) AS excluded
                    WHERE starts_with((i.tags ->> rule.key) || '/', excluded || '/'));
COMMENT ON VIEW feed_images IS 'What a marketing feed may show: images that were seen, by models or by a person, without those that their model set excludes. Fixes count.';
