//! The pictures that are tagged, and where they lie.

use std::sync::Arc;

use bytes::Bytes;
use tagfleet_shared::events::ListedImage;

use super::progress;
use crate::draw::{Entry, ImageType, Inventory, Options, Size};
use crate::origin::{Content, Origin};

/// The size of every picture.
const SIZE: Size = Size::new(1024, 768);
/// Drawn photos have less detail than real ones: so their files are as large, some 150 KiB.
const QUALITY: u8 = 94;

/// Pictures that are really drawn: some 60 of them are photos.
const ORIGINALS: usize = 100;

/// Photos of 1024x768 at an image host of this machine.
///
/// Photos only: stock pictures and placeholders are smaller and faster to decode. There are more
/// of them than were drawn; a further one has the pixels of an earlier one and a comment of its
/// own in its file. So its bytes are new to the fleet, which has to decode them and to ask the
/// models like those of any other picture.
pub struct Pictures {
    origin: Origin,
    inventory: Arc<Inventory>,
    photos: std::vec::IntoIter<usize>,
}

/// Some of the pictures.
pub struct Album {
    /// As a scrape lists them.
    pub listed: Vec<ListedImage>,
    /// Their files.
    pub files: Vec<Bytes>,
}

impl Pictures {
    /// Draws `count` photos and serves them.
    pub fn draw(count: usize) -> anyhow::Result<Self> {
        Self::draw_others(1, count)
    }

    /// Draws `count` photos that no other `seed` gives, and serves them.
    pub fn draw_others(seed: u64, count: usize) -> anyhow::Result<Self> {
        progress("drawing pictures");
        let options =
            Options { size: Some(SIZE), quality: QUALITY, originals: ORIGINALS, ..Options::flawless() };
        // More than half of the pictures of an inventory are photos.
        let inventory = Arc::new(Inventory::draw(seed, 2 * count + ORIGINALS, &options));
        let origin = Origin::start(Content::Inventory(inventory.clone()))?;
        let entries = inventory.entries().iter().enumerate();
        let photos: Vec<_> = entries.filter(|(_, entry)| is_photo(entry)).map(|(index, _)| index).collect();
        anyhow::ensure!(photos.len() >= count, "only {} photos are there, not {count}", photos.len());
        Ok(Self { origin, inventory, photos: photos.into_iter() })
    }

    /// The next `count` photos, which nobody has seen before.
    pub fn take(&mut self, count: usize) -> Album {
        let first = self.photos.as_slice().iter().take(count);
        let files = first.filter_map(|&index| self.inventory.entries()[index].file());
        let files = files.map(|(_, bytes)| bytes).collect();
        Album { listed: self.list(count), files }
    }

    /// The next `count` photos as a scrape lists them, for those who do not need the files in memory.
    pub fn list(&mut self, count: usize) -> Vec<ListedImage> {
        let entries = self.inventory.entries();
        let listed = |index: usize| ListedImage {
            url: self.origin.url(&entries[index].path),
            ..ListedImage::default()
        };
        self.photos.by_ref().take(count).map(listed).collect()
    }

    /// Where they are served.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Album {
    /// Mean size of the files, in KiB.
    pub fn mean_kib(&self) -> usize {
        self.files.iter().map(Bytes::len).sum::<usize>() / 1024 / self.files.len().max(1)
    }
}

fn is_photo(entry: &Entry) -> bool {
    entry.truth.is_some_and(|truth| truth.image_type == ImageType::Dealer)
}

/// `count` images at a host that nobody will ask: of a scrape that is only fanned out, or whose
/// images are known.
pub fn unseen(name: &str, count: usize) -> Vec<ListedImage> {
    let image = |n: usize| ListedImage {
        url: format!("https://images.example/{name}/photos/{n:08}.jpg"),
        listing_id: Some(format!("listing-{:06}", n / 8)),
        position: i32::try_from(n % 8).ok(),
        ..ListedImage::default()
    };
    (0..count).map(image).collect()
}
