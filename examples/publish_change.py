"""Tells the fleet that a picture was added, replaced or removed, and waits for its tags.

    AMQP_URL=amqp://user:password@host/%2f python publish_change.py added|replaced|removed URL
"""

import datetime
import json
import os
import sys

import pika

exchange = os.environ.get("TAGFLEET_PREFIX", "tagfleet") + ".events"
change, url = sys.argv[1:]
changed_at = datetime.datetime.now(datetime.timezone.utc)

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.confirm_delivery()  # basic_publish raises where the event did not arrive

# Listen before asking, so that no answer is missed.
answers = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(answers, exchange, "image.tagged")

channel.basic_publish(
    exchange,
    "image.changed",
    json.dumps({
        "advertiser_id": "dealer-42",
        "change": change,
        "changed_at": changed_at.isoformat(),
        "image": {"url": url, "listing_id": "car-1"},
    }),
    pika.BasicProperties(content_type="application/json", delivery_mode=2),
    mandatory=True,
)

for _method, _properties, body in channel.consume(answers, auto_ack=True):
    tagged = json.loads(body)
    # Ours, or one that came after it within the same moment.
    if tagged["url"] == url and datetime.datetime.fromisoformat(tagged["changed_at"]) >= changed_at:
        print(json.dumps({"outcome": tagged["outcome"], "tags": tagged["tags"]}))
        break
connection.close()
