"""The peer: what a Python team would run, with one task for each image.

Where the broker, the database and the model set are is in the environment: PEER_BROKER_URL,
PEER_DATABASE_URL, PEER_MODELS, and PEER_QUEUE, the name of the queue.
"""

import io
import os

import psycopg
import requests
from celery import Celery
from celery.signals import worker_process_init
from celery.worker.consumer.delayed_delivery import DelayedDelivery
from kombu import Exchange, Queue
from psycopg.types.json import Jsonb

from model import Model

PROCESSES = 2
PREFETCH = 64

# Nothing here waits for a time of day: no 28 queues for tasks that do, which would stay in the broker.
DelayedDelivery.include_if = lambda *_: False

app = Celery("peer", broker=os.environ["PEER_BROKER_URL"])
app.conf.update(
    task_default_queue=os.environ["PEER_QUEUE"],
    task_queues=[
        Queue(
            os.environ["PEER_QUEUE"],
            Exchange(""),
            routing_key=os.environ["PEER_QUEUE"],
            queue_arguments={"x-queue-type": "quorum", "x-expires": 10 * 60 * 1000},
        )
    ],
    task_default_exchange="",
    task_default_routing_key=os.environ["PEER_QUEUE"],
    # A task is lost with its worker otherwise.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    broker_transport_options={"confirm_publish": True},
    worker_concurrency=PROCESSES,
    worker_prefetch_multiplier=PREFETCH // PROCESSES,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)

# Of each process: made when it starts, kept until it ends.
model = None
http = None
database = None


@worker_process_init.connect
def begin(**_):
    global model, http
    model = Model(os.environ["PEER_MODELS"])
    http = requests.Session()
    connect()


def connect():
    """A statement that stands alone is a transaction of its own."""
    global database
    if database is None or database.closed or database.broken:
        database = psycopg.connect(os.environ["PEER_DATABASE_URL"], autocommit=True)
    return database


@app.task(
    autoretry_for=(psycopg.OperationalError, requests.RequestException),
    retry_backoff=True,
    max_retries=5,
)
def tag_image(scrape, seq, image_id, url):
    connection = connect()
    known = connection.execute(
        "SELECT tags FROM peer.image_tags WHERE image_id = %s", [image_id]
    ).fetchone()
    if known:
        record(connection, scrape, seq, "cached", known[0])
        return
    response = http.get(url, timeout=(5, 15))
    response.raise_for_status()
    tags, scores, (width, height) = model.tag(io.BytesIO(response.content))
    with connection.transaction():
        connection.execute(
            "INSERT INTO peer.image_tags (image_id, tags, scores, width, height)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (image_id) DO UPDATE"
            " SET tags = excluded.tags, scores = excluded.scores, tagged_at = now()",
            [image_id, Jsonb(tags), Jsonb(scores), width, height],
        )
        record(connection, scrape, seq, "inferred", tags)


def record(connection, scrape, seq, outcome, tags):
    connection.execute(
        "UPDATE peer.scrape_images SET outcome = %s, tags = %s, recorded_at = clock_timestamp()"
        " WHERE scrape = %s AND seq = %s AND outcome IS NULL",
        [outcome, Jsonb(tags), scrape, seq],
    )
