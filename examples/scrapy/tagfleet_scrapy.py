"""Tells tagfleet of the pictures that a Scrapy spider finds. README.md says how to set it up."""

import concurrent.futures
import datetime
import json
import logging
import time
import uuid

import pika
import pika.exceptions
from itemadapter import ItemAdapter
from scrapy import signals
from scrapy.exceptions import NotConfigured
from scrapy.utils.misc import load_object
from twisted.internet.threads import deferToThread

log = logging.getLogger(__name__)

# How often an event is offered to a broker that is away, and the seconds before the next time.
TRIES = 6
PATIENCE = 0.5


def images_of(item):
    """The pictures of one item: those of `image_urls`, in their order, all of its listing."""
    adapter = ItemAdapter(item)
    for position, url in enumerate(adapter.get("image_urls") or []):
        image = {"url": url, "position": position}
        for field in ("listing_id", "configured"):
            if adapter.get(field):
                image[field] = adapter[field]
        yield image


class Publisher:
    """Publishes with confirms, and `mandatory`: without the latter the broker confirms what no queue takes.

    It blocks, so it has a thread of its own, and everything goes through that one in order. A connection that is
    idle for long is closed by the broker; the next event opens another one.
    """

    def __init__(self, url, prefix):
        self.parameters = pika.URLParameters(url)
        self.exchange = f"{prefix}.events"
        self.connection = None
        self.channel = None

    def publish(self, routing_key, event):
        body = json.dumps(event)
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
        for attempt in range(TRIES):
            try:
                self.open().basic_publish(self.exchange, routing_key, body, properties, mandatory=True)
                return
            except (pika.exceptions.AMQPError, OSError):
                self.close()
                if attempt + 1 == TRIES:
                    raise
                time.sleep(PATIENCE * 2**attempt)

    def open(self):
        if self.channel is None or not self.channel.is_open:
            self.connection = pika.BlockingConnection(self.parameters)
            self.channel = self.connection.channel()
            self.channel.confirm_delivery()
        return self.channel

    def close(self):
        try:
            if self.connection is not None:
                self.connection.close()
        except (pika.exceptions.AMQPError, OSError):
            pass
        self.connection = self.channel = None


class TagfleetExtension:
    """Publishes `scrape.finished` when a spider has finished, or `image.changed` for each picture as it is scraped."""

    def __init__(self, crawler):
        settings = crawler.settings
        url = settings.get("TAGFLEET_AMQP_URL")
        if not url:
            raise NotConfigured("TAGFLEET_AMQP_URL is not set")
        self.publishes = settings.get("TAGFLEET_PUBLISHES", "scrape")
        if self.publishes not in ("scrape", "changes"):
            raise ValueError("TAGFLEET_PUBLISHES must be scrape or changes")
        self.images_of = load_object(settings.get("TAGFLEET_IMAGES_OF", images_of))
        self.advertiser = settings.get("TAGFLEET_ADVERTISER")
        self.stats = crawler.stats
        self.publisher = Publisher(url, settings.get("TAGFLEET_PREFIX", "tagfleet"))
        self.thread = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="tagfleet")
        self.pending = []
        self.images = []

    @classmethod
    def from_crawler(cls, crawler):
        extension = cls(crawler)
        crawler.signals.connect(extension.item_scraped, signals.item_scraped)
        crawler.signals.connect(extension.spider_closed, signals.spider_closed)
        return extension

    def item_scraped(self, item, spider):
        for image in self.images_of(item):
            if self.publishes == "scrape":
                self.images.append(image)
                continue
            self.send("image.changed", {
                "advertiser_id": self.advertiser_of(spider),
                "change": ItemAdapter(item).get("change") or "added",
                "changed_at": now(),
                "image": image,
            })

    def spider_closed(self, spider, reason):
        # A crawl that broke off is no inventory: pictures that it did not come to would be taken for gone.
        if self.publishes == "scrape" and reason == "finished":
            self.send("scrape.finished", {
                "scrape_id": str(uuid.uuid4()),
                "advertiser_id": self.advertiser_of(spider),
                "finished_at": now(),
                "images": self.images,
            })
        # Scrapy waits for this, so no event is lost because the process ends.
        return deferToThread(self.finish)

    def advertiser_of(self, spider):
        return self.advertiser or getattr(spider, "advertiser_id", spider.name)

    def send(self, routing_key, event):
        self.pending.append(self.thread.submit(self.publisher.publish, routing_key, event))

    def finish(self):
        self.thread.submit(self.publisher.close)
        self.thread.shutdown(wait=True)
        failures = [error for error in (sent.exception() for sent in self.pending) if error]
        self.stats.set_value("tagfleet/published", len(self.pending) - len(failures))
        self.stats.set_value("tagfleet/failed", len(failures))
        if failures:
            log.error("%d events did not arrive, the last because of: %r", len(failures), failures[-1])


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()
