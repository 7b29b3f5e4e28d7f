"""Publishes a finished scrape and waits until the fleet has tagged it.

    AMQP_URL=amqp://user:password@host/%2f python publish_scrape.py URL...
"""

import datetime
import json
import os
import sys
import uuid

import pika

exchange = os.environ.get("TAGFLEET_PREFIX", "tagfleet") + ".events"
scrape_id = str(uuid.uuid4())

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.confirm_delivery()  # basic_publish raises where the event did not arrive

# Listen before asking, so that no answer is missed.
answers = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(answers, exchange, "scrape.tagged")

channel.basic_publish(
    exchange,
    "scrape.finished",
    json.dumps({
        "scrape_id": scrape_id,
        "advertiser_id": "dealer-42",
        "finished_at": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "images": [
            {"url": url, "listing_id": "car-1", "position": position}
            for position, url in enumerate(sys.argv[1:])
        ],
    }),
    pika.BasicProperties(content_type="application/json", delivery_mode=2),
    mandatory=True,
)

for _method, _properties, body in channel.consume(answers, auto_ack=True):
    tagged = json.loads(body)
    if tagged["scrape_id"] == scrape_id:
        print(json.dumps(tagged["outcomes"]))
        break
connection.close()
