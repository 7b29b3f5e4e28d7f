-- The inventory of an advertiser that people look at: the newest that is complete, also while the next is at work, and
-- the same one on every page of a list.

-- tagged_at goes when images get their chance again, and is earlier than the moment from which others see it.
ALTER TABLE scrapes ADD COLUMN complete_since timestamptz;
COMMENT ON COLUMN scrapes.complete_since IS 'When it was first known that all its images have their outcome, unless a newer scrape had overtaken it by then; it stays. NULL where that was before this column: tagged_at.';

CREATE FUNCTION remember_complete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.complete_since IS NULL AND NEW.superseded_by IS NULL THEN
        IF TG_OP = 'UPDATE' AND OLD.state = 'tagged' THEN
            NEW.complete_since := OLD.tagged_at;
        ELSIF NEW.state = 'tagged' THEN
            NEW.complete_since := clock_timestamp();
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER remember_complete BEFORE INSERT OR UPDATE OF state ON scrapes
    FOR EACH ROW EXECUTE FUNCTION remember_complete();
