"""Scrapes: open, stuck, time to tagged, by size."""

from parts import *

# A scrape is over every few minutes: quantiles of a shorter window would be gaps.
RARE = "1h"

BOARD = dashboard(
    "scrapes", "Scrapes",
    "Open and stuck scrapes, and how long it takes until they are tagged, by size. One scrape: SELECT * FROM scrape_overview.",
    [],
    section(
        "How are they?",
        (8,
         graph("How many are open?", "Fanning out: jobs are being published. Tagging: images are worked on. Both growing: look at Fleet.",
               COUNT, query(same("tagfleet_scheduler_open_scrapes", FLEET, "state"), "{{state}}"), stacked=True),
         graph("How many are stuck?", "Nothing has moved in them for alerts.stuck_after (monitoring.rules.limits.stuckAfter) although no job of their lane waits. The sweep publishes lost jobs again.",
               COUNT, query(same("tagfleet_scheduler_stuck_scrapes", FLEET, "lane"), "{{lane}}"), thresholds=limits((1, "red"))),
         graph("How old is the oldest?", "Since its event, by state. Old and fanning out: its manifest, or its event is lost.",
               SECONDS, query(same("tagfleet_scheduler_oldest_scrape_seconds", FLEET, "state"), "{{state}}"))),
    ),
    section(
        "How long does it take until one is tagged?",
        (8,
         graph("How long do half of them take, by size?", "From the event to the last image's outcome, of those that ended within the hour before; sizes are the most images of a scrape. Rising for all sizes: look at Fleet.",
               SECONDS, query(quantile(0.5, "tagfleet_scheduler_scrape_seconds", FLEET, "size", RARE), "{{size}} images")),
         graph("How long do 95 % of them take, by size?", "Of the hour before; 5 % take longer. A small scrape as slow as a large one: it waits behind it, or for one host. The line: 10 minutes, as announce.in_time comes.",
               SECONDS, query(quantile(0.95, "tagfleet_scheduler_scrape_seconds", FLEET, "size", RARE), "{{size}} images"), thresholds=limits((600, "yellow"))),
         bars("How many of each size, last hour?", "Scrapes that were tagged, by their most images.",
              COUNT, f"sum by (size) (increase(tagfleet_scheduler_scrape_seconds_count{{{FLEET}}}[1h]))", "{{size}} images")),
    ),
    section(
        "From event to jobs, and to the announcement",
        (8,
         graph("What becomes of events?", "Repeated: the pipeline sends twice. Resumed: fan-outs were cut off. Superseded: a newer scrape of the advertiser came.",
               "suffix: scrapes/s", query(rate("tagfleet_scheduler_scrapes_total", FLEET, "event"), "{{event}}")),
         graph("How long does a fan-out take?", "From the event to the last confirmed job, over the hour before. Long: a slow manifest, or the broker confirms slowly.",
               SECONDS, query(quantile(0.5, "tagfleet_scheduler_fan_out_seconds", FLEET, window=RARE), "median"), query(quantile(0.95, "tagfleet_scheduler_fan_out_seconds", FLEET, window=RARE), "95 %")),
         graph("Do events wait for a scheduler?", "Above zero for minutes: more schedulers, or those that are there are held. The line: 100, as monitoring.rules.limits.eventsWaiting comes.",
               COUNT, query(same("tagfleet_scheduler_queue_messages", f'{FLEET},queue=~"scrape[.]finished|image[.]changed"', "queue"), "{{queue}}"), thresholds=limits((100, "yellow")))),
        (8,
         graph("Are jobs published once?", "Jobs that the broker has confirmed against images listed. Far above: fan-outs are cut off often.",
               IMAGES_RATE, query(rate("tagfleet_scheduler_images_listed_total", FLEET), "listed"), query(rate("tagfleet_scheduler_jobs_published_total", FLEET), "published")),
         graph("Are they announced?", "Announcements that the broker has confirmed. None while scrapes end: the schedulers' log.",
               "suffix: scrapes/s", query(rate("tagfleet_scheduler_announcements_total", FLEET), "announced")),
         graph("Do jobs get lost?", "Jobs that the sweep has published again. Any of it: queues were deleted or purged, or jobs are slower than sweep.after.",
               JOBS_RATE, query(rate("tagfleet_scheduler_jobs_swept_total", FLEET), "swept"))),
    ),
)
