"""Publishes a task for each line of stdin: SCRAPE SEQ IMAGE_ID URL, with tabs between."""

import sys

from tasks import app, tag_image

with app.producer_pool.acquire(block=True) as producer:
    for line in sys.stdin:
        scrape, seq, image_id, url = line.rstrip("\n").split("\t")
        tag_image.apply_async((scrape, int(seq), image_id, url), producer=producer)
