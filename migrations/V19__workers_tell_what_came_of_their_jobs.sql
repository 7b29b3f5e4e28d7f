-- For `tagfleet-scheduler status`, which asks nobody's metrics.
ALTER TABLE worker_reports ADD COLUMN endings jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN worker_reports.endings IS 'What came of the jobs of the last quarter of an hour: {ended, skipped, defaulted, inferred, failed}.';
