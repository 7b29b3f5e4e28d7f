-- The audit of one kind, the latest first: a refusal among a million writes. Alone, for whoever writes to the audit waits while
-- it is built, and nobody who reads.
CREATE INDEX audit_kind ON audit (kind, id);
