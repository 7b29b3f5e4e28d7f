"""Servers: broker and database as the fleet sees them."""

from parts import *

# A scheduler that has not counted since its start is as old as it is.
COUNTED = (f"max by (namespace, pod) (tagfleet_scheduler_counted_timestamp_seconds{{{FLEET}}} > 0 "
           f"or on (namespace, pod) process_start_time_seconds{{{FLEET}}} and on (namespace, pod) tagfleet_scheduler_build_info{{{FLEET}}})")

BOARD = dashboard(
    "servers", "Servers",
    "Broker and database as the fleet sees them. What they themselves say is on their own dashboards.",
    [],
    section(
        "The broker",
        (8,
         graph("What waits in the queues?", "Messages that are ready. jobs.*: the backlog. retry.*: hosts that failed. dead: for a person. suspects: a worker died of a job.",
               COUNT, query(same("tagfleet_scheduler_queue_messages", FLEET, "queue"), "{{queue}}")),
         graph("Who takes them?", "Consumers by queue. None of a lane: nobody works on it. Fewer than workers: they have to be restarted. retry and dead have none.",
               COUNT, query(same("tagfleet_scheduler_queue_consumers", f'{FLEET},queue=~"jobs.*|scrape.finished|image.changed|suspects"', "queue"), "{{queue}}")),
         graph("Does it take messages?", "Jobs that it has confirmed. Zero while scrapes fan out: it is blocked, by memory or disk.",
               JOBS_RATE, query(rate("tagfleet_scheduler_jobs_published_total", FLEET), "confirmed"))),
        (8,
         graph("What is held because of it?", "Work of schedulers. away: no connection. blocked or silent: it is short of memory or disk. refused: a queue has no leader.",
               COUNT, query(f"sum by (why) (tagfleet_scheduler_held{{{FLEET},server=\"broker\"}})", "{{why}}")),
         graph("What do workers give it and get?", "Jobs taken and ended. Taken far above ended: they go round through the retry queues.",
               JOBS_RATE, query(rate("tagfleet_worker_jobs_received_total", FLEET), "taken"), query(rate("tagfleet_worker_jobs_ended_total", FLEET), "ended"))),
    ),
    section(
        "The database",
        (8,
         graph("How fast does it answer?", "95 % of the batches of workers. Above a second: long statements, a missing ANALYZE, or a slow disk.",
               SECONDS, query(quantile(0.95, "tagfleet_worker_stage_seconds", f'{FLEET},stage=~"lookup|match|record"', "stage"), "{{stage}}"), thresholds=limits((1, "yellow"))),
         graph("Who waits for a connection?", "Callers in all processes. Above zero for minutes: the database is slow, or database.pool_size is small.",
               COUNT, query(f'sum(tagfleet_worker_database_connections{{{FLEET},state="awaited"}})', "workers"),
               query(f'sum(tagfleet_scheduler_database_connections{{{FLEET},state="awaited"}})', "schedulers"), thresholds=limits((1, "yellow"))),
         graph("How many connections are open?", "Of all processes together: below max_connections of the server, with room for people.",
               COUNT, query(f'sum(tagfleet_worker_database_connections{{{FLEET},state="open"}})', "workers"),
               query(f'sum(tagfleet_scheduler_database_connections{{{FLEET},state="open"}})', "schedulers"), stacked=True)),
        (8,
         graph("How large is it?", "On its disk. Partitions of images go after retention.days; image_tags stays.",
               BYTES, query(same("tagfleet_scheduler_database_bytes", FLEET), "database")),
         graph("How much does it record?", "Outcomes that were written, and in how large batches.",
               IMAGES_RATE, query(rate("tagfleet_worker_stage_batch_images_sum", f'{FLEET},stage="record"'), "outcomes")),
         graph("How old are these numbers?", "Since each scheduler last read from the database what is the same in all of them. One above a minute: its reads fail, its log says why, and it tells these numbers no more; nor those of the queues, where the broker has not answered for a minute.",
               SECONDS, query(f"clamp_min(time() - {COUNTED}, 0)", "{{pod}}"), thresholds=limits((60, "red")))),
    ),
    section(
        "What do outages do?",
        (8,
         graph("Which servers were missed?", "Times that work was held, of workers and schedulers.",
               "suffix: /s", query(rate("tagfleet_worker_outages_total", FLEET, "server"), "workers: {{server}}"),
               query(rate("tagfleet_scheduler_outages_total", FLEET, "server"), "schedulers: {{server}}")),
         graph("What became dead letters?", "Jobs and events that a person has to look at, by reason; docs/RUNBOOK.md has a section for each.",
               "suffix: /s", query(rate("tagfleet_worker_jobs_dead_lettered_total", FLEET, "reason"), "job: {{reason}}"),
               query(rate("tagfleet_scheduler_dead_letters_total", FLEET, "reason"), "event: {{reason}}")),
         graph("Do passes over fixed images get lost?", "Made up for by the sweep. Any of it: whoever makes fixes dies before the pass.",
               "suffix: /s", query(rate("tagfleet_scheduler_lost_fixes_total", FLEET), "passes"))),
    ),
)
