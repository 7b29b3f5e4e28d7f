-- What `tagfleet-scheduler status` and a person with psql look at.

-- Not logged: it is written all the time, says nothing that the next report does
-- not say, and may be empty after a crash.
CREATE UNLOGGED TABLE worker_reports (
    worker        text PRIMARY KEY,
    pool          text NOT NULL,
    version       text NOT NULL,
    model_set     text NOT NULL,
    digest        text NOT NULL,
    provider      text NOT NULL,
    started_at    timestamptz NOT NULL,
    reported_at   timestamptz NOT NULL DEFAULT now(),
    every_seconds float8 NOT NULL,
    lanes         jsonb NOT NULL,
    failures      jsonb NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE worker_reports IS 'What each worker says of itself, every report.every; one that was stopped takes its row away.';
COMMENT ON COLUMN worker_reports.lanes IS '{lane: {at_work, ended, per_second}}.';
COMMENT ON COLUMN worker_reports.failures IS 'The last images that this worker skipped or defaulted.';

-- Who is no label of any series is found here.
CREATE VIEW advertisers_in_trouble AS
WITH counted AS (
    SELECT advertiser_id, state, listed, received_at,
           coalesce((outcomes ->> 'skipped')::int, 0) AS skipped,
           coalesce((outcomes ->> 'defaulted')::int, 0) AS defaulted
      FROM scrapes WHERE received_at > now() - interval '1 day' AND superseded_by IS NULL
)
SELECT advertiser_id, count(*) AS scrapes, sum(listed) AS images, sum(skipped) AS skipped, sum(defaulted) AS defaulted,
       round(100.0 * sum(skipped + defaulted) / nullif(sum(listed) FILTER (WHERE state = 'tagged'), 0), 1) AS percent,
       count(*) FILTER (WHERE state = 'refused') AS refused,
       now() - min(received_at) FILTER (WHERE state IN ('fanning_out', 'tagging')) AS waiting_since
  FROM counted GROUP BY advertiser_id
HAVING sum(skipped + defaulted) > 0 OR count(*) FILTER (WHERE state <> 'tagged') > 0
 ORDER BY sum(skipped + defaulted) DESC, waiting_since DESC NULLS LAST;
COMMENT ON VIEW advertisers_in_trouble IS 'Scrapes of the last day by advertiser, those with the most skipped and defaulted images first.';

-- Reads the rows of two days: some seconds on a large fleet.
CREATE VIEW hosts_in_trouble AS
SELECT lower(substring(i.url FROM '^[a-z]+://(?:[^/@]*@)?([^/:?#]+)')) AS host, i.outcome, i.reason,
       count(*) AS images, count(DISTINCT s.advertiser_id) AS advertisers, max(i.recorded_at) AS last
  FROM scrape_images i JOIN scrapes s ON s.key = i.scrape
 WHERE i.day >= (now() AT TIME ZONE 'UTC')::date - 1 AND i.reason IS NOT NULL AND i.reason <> 'superseded'
 GROUP BY 1, 2, 3 ORDER BY images DESC;
COMMENT ON VIEW hosts_in_trouble IS 'Images of today and yesterday that were skipped or defaulted, by host and reason.';
