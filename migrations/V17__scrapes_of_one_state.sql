-- The list of scrapes in one state, the newest first. Alone, for whoever writes to scrapes waits while it is built, and
-- nobody who reads.
CREATE INDEX scrapes_state ON scrapes (state, key DESC);
