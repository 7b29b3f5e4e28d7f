-- Each page that is listed asks which pictures of its advertiser were removed since the scrape ended.
CREATE INDEX image_changes_removed ON image_changes (advertiser_id) WHERE change = 'removed';
