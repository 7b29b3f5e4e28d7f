-- The audit tells of logins and of API tokens as well, and nobody can change what it has told.

ALTER TABLE audit DROP CONSTRAINT audit_kind_check;
ALTER TABLE audit ADD CONSTRAINT audit_kind_check CHECK (kind IN ('write', 'refusal', 'login', 'token'));
COMMENT ON TABLE audit IS 'Every write before it is done, every refusal, every login, and every API token that is made or revoked. Append-only.';

-- How a write ended is noted once; nothing else of a line changes.
CREATE FUNCTION audit_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.status IS NULL
       AND (NEW.id, NEW.at, NEW.kind, NEW.who, NEW.via, NEW.address, NEW.method, NEW.path)
           IS NOT DISTINCT FROM (OLD.id, OLD.at, OLD.kind, OLD.who, OLD.via, OLD.address, OLD.method, OLD.path) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit is append-only';
END $$;
CREATE TRIGGER audit_is_final BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_final();
CREATE TRIGGER audit_stays BEFORE DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_final();

-- The pass over the rows of corrected images finds them by their keys: plans that are made once for a connection. Made
-- anew for each pass, with a partition for each day, they take longer than the pass itself; and for a thousand images
-- the planner would rather read whole partitions.
ALTER FUNCTION apply_fixes_to(uuid[])
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET jit = off;
