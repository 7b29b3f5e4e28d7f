//! The inventory of an earlier scrape, listed once more: for images that are tagged again.
//!
//! It comes out of `scrape_images` page by page, as long as that scrape is kept, so an inventory of any size needs no
//! larger event than a small one. The places are the same in both scrapes: a fan-out that was cut off goes on at the
//! first place that is not listed.

use tagfleet_shared::ids::{AdvertiserId, ScrapeId};

use crate::halt::{Halt, Refusal};
use crate::inventory::Row;
use crate::store::{self, Client, Scrape, Source};

/// An earlier scrape, from where its images were left off to its end.
pub struct EarlierScrape {
    scrape_id: ScrapeId,
    advertiser: AdvertiserId,
    /// None before the first page.
    source: Option<Source>,
    /// The place of the next image.
    next: i32,
}

impl EarlierScrape {
    /// The images of the scrape `source` for `scrape`, of the same advertiser, from its first unlisted place on.
    pub fn new(source: &ScrapeId, scrape: &Scrape) -> Self {
        Self {
            scrape_id: source.clone(),
            advertiser: scrape.advertiser_id.clone(),
            source: None,
            next: scrape.listed,
        }
    }

    /// How many images it has; 0 before the first page.
    pub fn total(&self) -> usize {
        self.source.map_or(0, |source| source.listed as usize)
    }

    /// The next `size` images. Fewer at the end, and then none.
    ///
    /// # Errors
    ///
    /// If there is no such scrape, it was never listed to its end, or its images are not kept any more; if the
    /// database is away.
    pub async fn page(&mut self, client: &Client, size: usize) -> Result<Vec<Row>, Halt> {
        let source = match self.source {
            Some(source) => source,
            None => {
                let found = self.look_up(client).await?;
                *self.source.insert(found)
            }
        };
        if self.next >= source.listed {
            return Ok(Vec::new());
        }
        let rows = store::listed_images(client, &source, self.next, size).await?;
        if rows.is_empty() {
            return Err(Refusal::no_inventory(&self.scrape_id, "is not kept any more").into());
        }
        self.next += rows.len() as i32;
        Ok(rows)
    }

    async fn look_up(&self, client: &Client) -> Result<Source, Halt> {
        let source = store::source(client, &self.scrape_id, &self.advertiser).await?;
        let refused = |why: &str| Halt::from(Refusal::no_inventory(&self.scrape_id, why));
        let source = source.ok_or_else(|| refused("is not one of this advertiser"))?;
        if source.whole { Ok(source) } else { Err(refused("was not listed to its end")) }
    }
}
