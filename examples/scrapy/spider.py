"""A spider for a site of listings, with tagfleet told of their pictures.

    scrapy runspider spider.py -a site=https://dealer.example/ -s TAGFLEET_AMQP_URL=amqp://user:password@host/%2f
"""

import scrapy
from tagfleet_scrapy import TagfleetExtension


class ListingsSpider(scrapy.Spider):
    name = "listings"
    custom_settings = {"EXTENSIONS": {TagfleetExtension: 500}}

    def __init__(self, site, advertiser="dealer-42", **arguments):
        super().__init__(**arguments)
        self.start_urls = [site]
        self.advertiser_id = advertiser

    def parse(self, response):
        yield from response.follow_all(css="a.listing", callback=self.parse_listing)

    def parse_listing(self, response):
        yield {
            "listing_id": response.css("[data-listing]::attr(data-listing)").get(),
            "image_urls": [response.urljoin(source) for source in response.css("img.photo::attr(src)").getall()],
        }
