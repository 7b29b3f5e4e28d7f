"""Sources: skips, hosts that limit us, formats."""

from parts import *

BOARD = dashboard(
    "sources", "Sources",
    "Where pictures come from: what cannot be had and why, hosts that limit us, formats, duplicates.",
    ["pool"],
    section(
        "What cannot be had?",
        (8,
         graph("Which share is skipped?", "Images that cannot be had, of those of all pools; without superseded ones. Above the line (10 %, as monitoring.rules.skipsShare comes) for long: a host is down, or our way out.",
               SHARE, query(f"max(tagfleet:skipped:ratio15m{{{FLEET}}})", "15 min"), query(f"max(tagfleet:skipped:ratio1d{{{FLEET}}})", "last day"), thresholds=limits((0.1, "yellow"))),
         graph("Why?", "Share of all images that is skipped, by reason; without superseded: a newer scrape took its place (see Scrapes). gone, denied: the listing is old. dns, connection, tls, timeout: the host, or our own network. forbidden_address: somebody tries something.",
               SHARE, query(share_by("reason", "tagfleet_worker_jobs_total", POOL, 'outcome="skipped",reason!="superseded"'), "{{reason}}"), stacked=True),
         words("Who?", "Where to ask who makes trouble: it is no label, so that no scrape of anybody makes Prometheus larger.",
               "No advertiser, host or URL is a label. Ask the database:\n\n```sql\nSELECT * FROM advertisers_in_trouble LIMIT 20;\nSELECT * FROM hosts_in_trouble LIMIT 20;\n```\n\nor, for the last ten: `tagfleet-scheduler status`")),
    ),
    section(
        "Which hosts limit us?",
        (8,
         graph("How are the hosts?", "Limited: asked for less, because they had enough. Away: left alone for a while. All away at once: it is our network.",
               COUNT, query(f"sum by (state) (tagfleet_worker_hosts{{{POOL}}})", "{{state}}")),
         graph("What is tried again?", "Jobs that went to a retry queue after an attempt, by what they met.",
               JOBS_RATE, query(rate("tagfleet_worker_jobs_retried_total", POOL, "reason"), "{{reason}}")),
         graph("What is put off?", "Jobs that went to a retry queue without an attempt: their host asks for patience, or is too slow for all who wait.",
               JOBS_RATE, query(f"sum by (reason) (rate(tagfleet_worker_jobs_put_off_total{{{POOL}}}[$__rate_interval])) or label_replace(vector(0), \"reason\", \"none\", \"\", \"\")", "{{reason}}"))),
    ),
    section(
        "What comes?",
        (8,
         graph("How much is downloaded?", "Bytes of pictures. The price of a cache that does not know them.",
               BYTES_RATE, query(rate("tagfleet_worker_downloaded_bytes_total", POOL), "bytes")),
         graph("In which formats?", "By the first bytes, not by the name. other cannot be decoded and gets the defaults.",
               IMAGES_RATE, query(rate("tagfleet_worker_downloads_total", POOL, "format"), "{{format}}"), stacked=True),
         graph("How large are they?", "Mean bytes of a picture. Twice as large: twice the time to decode.",
               BYTES, query(f"{rate('tagfleet_worker_downloaded_bytes_total', POOL)} / {rate('tagfleet_worker_downloads_total', POOL)}", "mean")),
         graph("How long does a download take?", "Median and 95 %, the wait for a turn left out.",
               SECONDS, query(quantile(0.5, "tagfleet_worker_stage_seconds", f'{POOL},stage="download"'), "median"),
               query(quantile(0.95, "tagfleet_worker_stage_seconds", f'{POOL},stage="download"'), "95 %"))),
    ),
    section(
        "What need not come?",
        (8,
         graph("Where are tags found?", "Share of the questions to the cache. nowhere is downloaded. nowhere at 100 %: another set or image_key, or a lost table.",
               SHARE, query(f"{rate('tagfleet_worker_cache_lookups_total', POOL, 'tier')} / ignoring (tier) group_left {rate('tagfleet_worker_cache_lookups_total', POOL)}", "{{tier}}"), stacked=True, high=1),
         graph("How many duplicates are not looked at?", "Pictures whose bytes were known under another URL: downloaded, and neither decoded nor inferred.",
               IMAGES_RATE, query(rate("tagfleet_worker_jobs_total", f'{POOL},outcome="matched"'), "matched")),
         graph("What does looking again bring?", "Known images that were due. unchanged costs a request; mostly changed: cache.revalidate_after is too long. Off by default: then nothing.",
               IMAGES_RATE, query(f"sum by (result) (rate(tagfleet_worker_revalidated_total{{{POOL}}}[$__rate_interval])) or label_replace(vector(0), \"result\", \"none\", \"\", \"\")", "{{result}}"))),
    ),
)
