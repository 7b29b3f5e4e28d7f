-- How long an image has waited is counted from when it began to wait: of a scrape that was tagged and is opened again, not
-- from its event, which may be days ago.
ALTER TABLE scrapes ADD COLUMN reopened_at timestamptz;
COMMENT ON COLUMN scrapes.reopened_at IS 'When images of it were last opened again although it was tagged; NULL until then.';
