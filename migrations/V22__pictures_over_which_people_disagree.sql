-- The pictures over which people disagree are few among all that they have corrected, and are found without reading that.

CREATE TABLE fix_conflicts (
    attribute text NOT NULL,
    image_id  uuid NOT NULL,
    PRIMARY KEY (attribute, image_id)
);
COMMENT ON TABLE fix_conflicts IS 'Images of which fixes of one attribute differ. Kept by the fixes themselves.';

-- It comes after note_fix, by its name: that has the image's line in pending_fixes, so that of two fixes of one image in two
-- transactions the later one reads what the earlier one has left.
CREATE FUNCTION note_fix_conflict() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    image uuid := coalesce(NEW.image_id, OLD.image_id);
    about text := coalesce(NEW.attribute, OLD.attribute);
BEGIN
    IF (SELECT count(DISTINCT to_jsonb(coalesce(value, chr(1)))) > 1 FROM fixes
         WHERE image_id = image AND attribute = about) THEN
        INSERT INTO fix_conflicts VALUES (about, image) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM fix_conflicts WHERE attribute = about AND image_id = image;
    END IF;
    RETURN NULL;
END $$;

-- Nobody writes a fix from here on until this is committed: what is filled in is all that there is.
CREATE TRIGGER note_fix_conflict AFTER INSERT OR UPDATE OR DELETE ON fixes
    FOR EACH ROW EXECUTE FUNCTION note_fix_conflict();
INSERT INTO fix_conflicts
SELECT attribute, image_id FROM fixes GROUP BY attribute, image_id
HAVING count(DISTINCT to_jsonb(coalesce(value, chr(1)))) > 1;
