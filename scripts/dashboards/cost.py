"""Cost: images per worker-hour (with a GPU: as it is rented), core-hour and busy device-hour."""

from parts import *

ENDED = rate("tagfleet_worker_jobs_ended_total", POOL, "pool")
CPU = rate("tagfleet_worker_cpu_seconds_total", POOL, "pool")
WORKERS = f"count by (pool) (tagfleet_worker_build_info{{{POOL}}})"
# Of the last day, minute by minute: pools grow and shrink.
WORKER_HOURS = f"(sum_over_time(({WORKERS})[1d:1m]) / 60)"
INFER = (f'sum by (pool, provider) (rate(tagfleet_worker_stage_seconds_sum{{{POOL},stage="infer"}}[$__rate_interval]) '
         f"* on (namespace, pod) group_left (provider) max by (namespace, pod, provider) (tagfleet_worker_model_info{{{POOL}}}))")
SEEN = (f'sum by (pool, provider) (rate(tagfleet_worker_stage_batch_images_sum{{{POOL},stage="infer"}}[$__rate_interval]) '
        f"* on (namespace, pod) group_left (provider) max by (namespace, pod, provider) (tagfleet_worker_model_info{{{POOL}}}))")

BOARD = dashboard(
    "cost", "Cost",
    "What an hour of a worker, a core and a device brings, what a thousand images cost, and what the cache saves of it.",
    ["pool"],
    section(
        "What does an hour bring?",
        (8,
         graph("How many images does a worker-hour bring?", "All images by the time that workers are there, idle or not: what is paid for. In a pool with GPUs it is the GPU-hour as it is rented; a pod counts once, whatever its gpu.count. Low: let scaling stop workers.",
               "suffix: images/h", query(f"3600 * {ENDED} / {WORKERS}", "{{pool}}")),
         bars("How many did it bring over the last day?", "The same with the quiet hours of a whole day. The price of a pod's hour divided by it is the price of an image.",
              "suffix: images/h", f"sum by (pool) (increase(tagfleet_worker_jobs_ended_total{{{POOL}}}[1d])) / {WORKER_HOURS}", "{{pool}}"),
         number("Images of the last day", "Images that came to their outcome.", COUNT, f"sum(increase(tagfleet_worker_jobs_ended_total{{{POOL}}}[1d]))")),
        (8,
         graph("How many images does a core-hour bring?", "All images, known ones included, by CPU time used; idle cores are not in it. Falling: fewer are known, or pictures are larger.",
               "suffix: images/core-h", query(f"3600 * {ENDED} / {CPU}", "{{pool}}")),
         graph("How many pictures does a busy device-hour bring?", "Pictures that models looked at by the time that they ran, to compare sets, devices and batches. Not what is rented: idle time is left out, and batches that run at once (models.sessions) count each.",
               "suffix: pictures/h", query(f"3600 * {SEEN} / {INFER}", "{{pool}} {{provider}}"))),
    ),
    section(
        "What do a thousand images cost?",
        (8,
         graph("CPU seconds per thousand images", "Of workers and their decoders. Idle workers use some too: compare busy hours.",
               SECONDS, query(f"1000 * {CPU} / {ENDED}", "{{pool}}")),
         graph("Device seconds per thousand images", "Time in which models ran, by provider; batches that run at once count each. What a GPU is rented for is more: its idle time, see above. Rising: larger models, or smaller batches.",
               SECONDS, query(f"1000 * {INFER} / on (pool) group_left {ENDED}", "{{pool}} {{provider}}")),
         graph("Bytes downloaded per thousand images", "Known images cost none.",
               BYTES, query(f"1000 * {rate('tagfleet_worker_downloaded_bytes_total', POOL, 'pool')} / {ENDED}", "{{pool}}"))),
    ),
    section(
        "What is paid for, and what is used?",
        (8,
         graph("How many workers are there?", "Pods that run, busy or not: each is paid for. As many at night as by day: let scaling stop them.",
               COUNT, query(WORKERS, "{{pool}}"), stacked=True),
         graph("How many cores are used?", "By pool, of all its workers together. Much less than the workers, to the left, times the pool's resources.requests: they are too large or too many.",
               CORES, query(f"sum by (pool) (rate(tagfleet_worker_cpu_seconds_total{{{POOL}}}[$__rate_interval]))", "{{pool}}"), stacked=True),
         graph("How much memory is used?", "Workers and their decoders, by pool. Much less than the workers times resources.requests: as with cores.",
               BYTES, query(f"sum by (pool) (tagfleet_worker_memory_bytes{{{POOL}}})", "{{pool}}"), stacked=True),
         graph("What does knowing save?", "Share of the images for which no model ran: cached or matched.",
               SHARE, query(f'{rate("tagfleet_worker_jobs_total", POOL + ",outcome=~" + chr(34) + "cached|matched" + chr(34))} / {rate("tagfleet_worker_jobs_total", POOL)}', "known"), high=1)),
    ),
    since="now-24h",
)
