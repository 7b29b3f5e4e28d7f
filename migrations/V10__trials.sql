-- A job that came back is tried alone: how often that ended with its worker.

ALTER TABLE scrape_images ADD COLUMN trials smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN scrape_images.trials IS 'Trials alone that have begun and did not end; the worker died in each of them, or is at it now.';
