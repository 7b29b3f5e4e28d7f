"""Cost: images per core-hour and GPU-hour."""

from parts import *

ENDED = rate("tagfleet_worker_jobs_ended_total", POOL, "pool")
CPU = rate("tagfleet_worker_cpu_seconds_total", POOL, "pool")
INFER = (f'sum by (pool, provider) (rate(tagfleet_worker_stage_seconds_sum{{{POOL},stage="infer"}}[$__rate_interval]) '
         f"* on (namespace, pod) group_left (provider) max by (namespace, pod, provider) (tagfleet_worker_model_info{{{POOL}}}))")
SEEN = (f'sum by (pool, provider) (rate(tagfleet_worker_stage_batch_images_sum{{{POOL},stage="infer"}}[$__rate_interval]) '
        f"* on (namespace, pod) group_left (provider) max by (namespace, pod, provider) (tagfleet_worker_model_info{{{POOL}}}))")

BOARD = dashboard(
    "cost", "Cost",
    "What a thousand images cost in core-hours, device-hours and bytes, and what the cache saves of it.",
    ["pool"],
    section(
        "What does an hour bring?",
        (8,
         graph("How many images does a core-hour bring?", "All images, known ones included, by CPU time used. Falling: fewer are known, or pictures are larger.",
               "suffix: images/core-h", query(f"3600 * {ENDED} / {CPU}", "{{pool}}")),
         graph("How many pictures does a device-hour bring?", "Pictures that models looked at by the time that the device (provider) was busy with them: what a GPU is worth.",
               "suffix: pictures/h", query(f"3600 * {SEEN} / {INFER}", "{{pool}} {{provider}}")),
         number("Images of the last day", "Images that came to their outcome.", COUNT, f"sum(increase(tagfleet_worker_jobs_ended_total{{{POOL}}}[1d]))")),
    ),
    section(
        "What do a thousand images cost?",
        (8,
         graph("CPU seconds per thousand images", "Of workers and their decoders. Idle workers use some too: compare busy hours.",
               SECONDS, query(f"1000 * {CPU} / {ENDED}", "{{pool}}")),
         graph("Device seconds per thousand images", "Time in which models ran, by provider. On a GPU: what it is rented for.",
               SECONDS, query(f"1000 * {INFER} / on (pool) group_left {ENDED}", "{{pool}} {{provider}}")),
         graph("Bytes downloaded per thousand images", "Known images cost none.",
               BYTES, query(f"1000 * {rate('tagfleet_worker_downloaded_bytes_total', POOL, 'pool')} / {ENDED}", "{{pool}}"))),
    ),
    section(
        "What is paid for, and what is used?",
        (8,
         graph("How many cores are used?", "Against the requests of the pods: much less, and they are too large or too many.",
               CORES, query(f"sum by (pool) (rate(tagfleet_worker_cpu_seconds_total{{{POOL}}}[$__rate_interval]))", "{{pool}}"), stacked=True),
         graph("How much memory is used?", "Workers and their decoders, by pool.",
               BYTES, query(f"sum by (pool) (tagfleet_worker_memory_bytes{{{POOL}}})", "{{pool}}"), stacked=True),
         graph("What does knowing save?", "Share of the images for which no model ran: cached or matched.",
               SHARE, query(f'{rate("tagfleet_worker_jobs_total", POOL + ",outcome=~" + chr(34) + "cached|matched" + chr(34))} / {rate("tagfleet_worker_jobs_total", POOL)}', "known"), high=1)),
    ),
    since="now-24h",
)
