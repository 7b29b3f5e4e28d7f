//! The images of a scrape, page by page, wherever they come from.

use jiff::Timestamp;
use tagfleet_shared::events::{Change, ListedImage};
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::outcome::REMOVED;
use tagfleet_shared::tags::Tags;

use crate::earlier_scrape::EarlierScrape;
use crate::halt::Halt;
use crate::manifest::Manifest;
use crate::store::Client;

/// The reason of a manifest line that is no image.
pub const MALFORMED_LINE: &str = "malformed_line";

/// The images that are not listed yet.
pub enum Inventory<'event> {
    /// They came with the event.
    Inline(Inline<'event>),
    /// They lie at a URL.
    Manifest(Box<Manifest>),
    /// They are those of an earlier scrape.
    EarlierScrape(EarlierScrape),
}

impl Inventory<'_> {
    /// The next `size` images. Fewer at the end, and then none.
    ///
    /// # Errors
    ///
    /// If the manifest or the earlier scrape is not to be had, or the database is away.
    pub async fn page(&mut self, client: &Client, size: usize) -> Result<Vec<Row>, Halt> {
        match self {
            Self::Inline(images) => Ok(images.page(size)),
            Self::Manifest(manifest) => Ok(manifest.page(size).await?),
            Self::EarlierScrape(scrape) => scrape.page(client, size).await,
        }
    }

    /// The size of the scrape as far as it is known when `seen` images are.
    pub fn size(&self, seen: usize) -> usize {
        match self {
            Self::Inline(images) => images.total,
            Self::Manifest(_) => seen,
            Self::EarlierScrape(scrape) => scrape.total().max(seen),
        }
    }
}

/// Images that came with the event.
pub struct Inline<'event> {
    /// Those still to come.
    rest: &'event [ListedImage],
    /// All of them, also those that were listed before.
    total: usize,
}

impl<'event> Inline<'event> {
    /// The images of an event from the `listed`-th on.
    pub fn new(images: &'event [ListedImage], listed: usize) -> Self {
        Self { rest: images.get(listed..).unwrap_or_default(), total: images.len() }
    }

    fn page(&mut self, size: usize) -> Vec<Row> {
        let (page, after) = self.rest.split_at(size.min(self.rest.len()));
        self.rest = after;
        page.iter().cloned().map(Row::from).collect()
    }
}

/// One image as it goes into `scrape_images`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What its tags are known by.
    pub image: ImageId,
    /// Where it is.
    pub url: String,
    /// The pipeline's name of it.
    pub image_key: Option<String>,
    /// The listing that shows it.
    pub listing_id: Option<String>,
    /// Its place within the listing.
    pub position: Option<i32>,
    /// What the advertiser stated.
    pub configured: Option<Tags>,
    /// What happened to it, and when, where it is in a micro-scrape.
    pub change: Option<(Change, Timestamp)>,
    /// When the advertiser ceased to show it, where it is listed once more.
    pub removed_at: Option<Timestamp>,
    /// A manifest line that is no image keeps its place in the inventory and
    /// is skipped at once.
    pub malformed: bool,
}

impl From<ListedImage> for Row {
    fn from(listed: ListedImage) -> Self {
        Self {
            image: ImageId::of(listed.image_key.as_deref(), &listed.url),
            configured: listed.stated(),
            url: listed.url,
            image_key: listed.image_key,
            listing_id: listed.listing_id,
            position: listed.position,
            change: None,
            removed_at: None,
            malformed: false,
        }
    }
}

impl Row {
    /// The place of a line that is no image.
    pub fn malformed() -> Self {
        Self { malformed: true, ..ListedImage::default().into() }
    }

    /// Why it is skipped from the start, where it is.
    pub fn skipped(&self) -> Option<&'static str> {
        let removed = matches!(self.change, Some((Change::Removed, _)));
        if self.malformed { Some(MALFORMED_LINE) } else { removed.then_some(REMOVED) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(count: usize) -> Vec<ListedImage> {
        (0..count)
            .map(|i| ListedImage { url: format!("http://img.test/{i}.jpg"), ..Default::default() })
            .collect()
    }

    #[test]
    fn inline_images_come_in_pages() {
        let images = images(5);
        let mut inline = Inline::new(&images, 0);
        assert_eq!([(); 4].map(|()| inline.page(2).len()), [2, 2, 1, 0]);
        assert_eq!(Inventory::Inline(inline).size(2), 5);
    }

    /// A fan-out that resumes begins with the first image that is not listed.
    #[test]
    fn listed_images_do_not_come_again() {
        let images = images(5);
        let page = Inline::new(&images, 3).page(10);
        assert_eq!(
            page.iter().map(|row| &*row.url).collect::<Vec<_>>(),
            ["http://img.test/3.jpg", "http://img.test/4.jpg"]
        );
        assert_eq!(Inline::new(&images, 9).page(10), []);
    }
}
