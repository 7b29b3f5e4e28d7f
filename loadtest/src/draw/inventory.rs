//! The inventory of one dealer, as a scrape finds it: pictures, repeats, dead links and broken files.

use std::{collections::HashMap, thread};

use bytes::Bytes;
use rand::RngExt;

use super::{PHOTO_QUALITY, Picture, Rng, Size, Truth, any_picture_of_quality, chance, encode};

/// What an inventory is made of. The shares are of all entries; what is left are pictures.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of every picture. Default: one of [`Size::COMMON`] for each.
    pub size: Option<Size>,
    /// JPEG quality of the photos. Default 85.
    pub quality: u8,
    /// At most this many pictures are really drawn; the rest look like one of them, in bytes of
    /// their own. Default 200: more takes time and memory, fewer makes an inventory monotonous.
    pub originals: usize,
    /// Photos to a listing. Default 8.
    pub per_listing: u32,
    /// Entries whose bytes another entry has, too. Default 10 %.
    pub repeated: f64,
    /// Entries that are not there: 404. Default 3 %.
    pub dead: f64,
    /// Entries whose file is cut off or garbage. Default 1.5 %.
    pub broken: f64,
    /// Entries that are a web page with the name of a picture. Default 1 %.
    pub pages: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: None,
            quality: PHOTO_QUALITY,
            originals: 200,
            per_listing: 8,
            repeated: 0.10,
            dead: 0.03,
            broken: 0.015,
            pages: 0.01,
        }
    }
}

impl Options {
    /// Pictures only, none twice.
    pub fn flawless() -> Self {
        Self { repeated: 0.0, dead: 0.0, broken: 0.0, pages: 0.0, ..Self::default() }
    }
}

/// What is found under a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A picture of its own.
    Picture,
    /// The same bytes as the entry of this index.
    Repeat(usize),
    /// Nothing: 404.
    Dead,
    /// The first part of a picture's file. Some decoders make half a picture of it.
    Truncated,
    /// Random bytes, sent as a JPEG.
    Garbage,
    /// A web page.
    Page,
}

/// One image of an inventory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is, such as `/photos/000123.jpg`.
    pub path: String,
    /// The listing that it belongs to.
    pub listing_id: String,
    /// Its place in the listing, from 0.
    pub position: u32,
    /// What is there.
    pub kind: EntryKind,
    /// What a perfect model would say; `None` where there is no whole picture.
    pub truth: Option<Truth>,
    content_type: &'static str,
    file: Bytes,
    note: Option<String>,
}

impl Entry {
    /// The media type and the bytes that a server sends; `None` for a dead link.
    pub fn file(&self) -> Option<(&'static str, Bytes)> {
        if self.kind == EntryKind::Dead {
            return None;
        }
        let bytes = match &self.note {
            None => self.file.clone(),
            Some(note) => encode::with_note(&self.file, note).into(),
        };
        Some((self.content_type, bytes))
    }
}

/// The images of one dealer.
#[derive(Clone, Debug)]
pub struct Inventory {
    entries: Vec<Entry>,
    by_path: HashMap<String, usize>,
}

impl Inventory {
    /// Draws an inventory: the same for the same arguments.
    pub fn draw(seed: u64, count: usize, options: &Options) -> Self {
        let mut rng = chance(seed, u64::MAX);
        let kinds = kinds(&mut rng, count, options);
        let wanted = kinds.iter().filter(|kind| needs_picture(**kind)).count();
        let pictures = paint(seed, wanted.min(options.originals.max(1)), options);

        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        let mut used = 0;
        for (index, kind) in kinds.into_iter().enumerate() {
            let content = match kind {
                EntryKind::Repeat(of) => Content::of(&entries[of]),
                EntryKind::Dead => Content::plain(encode::JPEG, Bytes::new()),
                EntryKind::Garbage => Content::plain(encode::JPEG, garbage(&mut rng)),
                EntryKind::Page => Content::plain("text/html; charset=utf-8", Bytes::from_static(PAGE)),
                EntryKind::Picture | EntryKind::Truncated => {
                    let picture = &pictures[used % pictures.len()];
                    let note = (used >= pictures.len()).then(|| format!("photo {index}"));
                    used += 1;
                    match kind {
                        EntryKind::Truncated => Content::cut(picture, &mut rng),
                        _ => Content::whole(picture, note),
                    }
                }
            };
            entries.push(content.listed(index, kind, options.per_listing));
        }
        let by_path = entries.iter().enumerate().map(|(index, entry)| (entry.path.clone(), index)).collect();
        Self { entries, by_path }
    }

    /// Every entry, in the order of the listings.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at `path`.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.by_path.get(path).map(|index| &self.entries[*index])
    }
}

const PAGE: &[u8] = b"<!DOCTYPE html>\n<html><head><title>Not found</title></head>\
    <body><h1>This photo is no longer available</h1></body></html>\n";

/// What an entry serves.
struct Content {
    content_type: &'static str,
    file: Bytes,
    note: Option<String>,
    truth: Option<Truth>,
}

impl Content {
    fn plain(content_type: &'static str, file: Bytes) -> Self {
        Self { content_type, file, note: None, truth: None }
    }

    fn of(entry: &Entry) -> Self {
        Self {
            content_type: entry.content_type,
            file: entry.file.clone(),
            note: entry.note.clone(),
            truth: entry.truth,
        }
    }

    fn whole(picture: &Picture, note: Option<String>) -> Self {
        let truth = Some(picture.truth);
        Self { content_type: picture.content_type, file: picture.bytes.clone(), note, truth }
    }

    fn cut(picture: &Picture, rng: &mut Rng) -> Self {
        let kept = (picture.bytes.len() as f64 * rng.random_range(0.02..0.6)) as usize;
        Self::plain(picture.content_type, picture.bytes.slice(..kept))
    }

    fn listed(self, index: usize, kind: EntryKind, per_listing: u32) -> Entry {
        let per_listing = per_listing.max(1) as usize;
        let extension = if self.content_type == encode::PNG { "png" } else { "jpg" };
        Entry {
            path: format!("/photos/{index:06}.{extension}"),
            listing_id: format!("listing-{:05}", index / per_listing),
            position: (index % per_listing) as u32,
            kind,
            truth: self.truth,
            content_type: self.content_type,
            file: self.file,
            note: self.note,
        }
    }
}

fn needs_picture(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Picture | EntryKind::Truncated)
}

/// Deals out the kinds. A repeat points to a picture before it; the first entry is always a picture.
fn kinds(rng: &mut Rng, count: usize, options: &Options) -> Vec<EntryKind> {
    let mut kinds = Vec::with_capacity(count);
    let mut pictures = Vec::new();
    for index in 0..count {
        let mut dice = rng.random::<f64>();
        let mut falls_to = |share: f64| {
            dice -= share;
            dice < 0.0
        };
        let kind = if pictures.is_empty() {
            EntryKind::Picture
        } else if falls_to(options.repeated) {
            EntryKind::Repeat(pictures[rng.random_range(0..pictures.len())])
        } else if falls_to(options.dead) {
            EntryKind::Dead
        } else if falls_to(options.broken) {
            if rng.random_bool(0.5) { EntryKind::Truncated } else { EntryKind::Garbage }
        } else if falls_to(options.pages) {
            EntryKind::Page
        } else {
            EntryKind::Picture
        };
        if kind == EntryKind::Picture {
            pictures.push(index);
        }
        kinds.push(kind);
    }
    kinds
}

fn garbage(rng: &mut Rng) -> Bytes {
    let length = rng.random_range(500..40_000);
    (0..length).map(|_| rng.random::<u8>()).collect()
}

/// Draws the first `count` pictures of `seed`, a share on each core.
fn paint(seed: u64, count: usize, &Options { size, quality, .. }: &Options) -> Vec<Picture> {
    let share = count.div_ceil(cores()).max(1);
    thread::scope(|scope| {
        let chunks: Vec<_> = (0..count)
            .step_by(share)
            .map(|first| {
                let chunk = first..count.min(first + share);
                scope.spawn(move || {
                    let draw = |index| any_picture_of_quality(seed, index as u64, size, quality);
                    chunk.map(draw).collect::<Vec<_>>()
                })
            })
            .collect();
        chunks.into_iter().flat_map(|chunk| chunk.join().expect("drawing does not panic")).collect()
    })
}

/// The number of threads worth starting.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(count: usize) -> (Options, Inventory) {
        let options = Options { size: Some(Size::new(96, 72)), originals: 6, ..Options::default() };
        let inventory = Inventory::draw(3, count, &options);
        (options, inventory)
    }

    fn share(inventory: &Inventory, is: impl Fn(EntryKind) -> bool) -> f64 {
        let entries = inventory.entries();
        entries.iter().filter(|entry| is(entry.kind)).count() as f64 / entries.len() as f64
    }

    #[test]
    fn the_same_seed_draws_the_same_inventory() {
        let (options, inventory) = small(40);

        let again = Inventory::draw(3, 40, &options);

        for (one, other) in inventory.entries().iter().zip(again.entries()) {
            assert_eq!((one.kind, &one.path, one.file()), (other.kind, &other.path, other.file()));
        }
    }

    #[test]
    fn the_shares_are_kept() {
        let (options, inventory) = small(4000);

        let near = |share: f64, wanted: f64| (share - wanted).abs() < 0.25 * wanted + 0.004;

        assert!(near(share(&inventory, |kind| matches!(kind, EntryKind::Repeat(_))), options.repeated));
        assert!(near(share(&inventory, |kind| kind == EntryKind::Dead), options.dead));
        assert!(near(share(&inventory, |kind| kind == EntryKind::Page), options.pages));
        let broken = |kind| matches!(kind, EntryKind::Truncated | EntryKind::Garbage);
        assert!(near(share(&inventory, broken), options.broken));
    }

    #[test]
    fn repeats_have_the_bytes_of_their_original_and_no_other_two_entries_do() {
        let (_, inventory) = small(300);

        let mut seen = HashMap::new();
        for (index, entry) in inventory.entries().iter().enumerate() {
            match entry.kind {
                EntryKind::Repeat(of) => {
                    assert_eq!(entry.file(), inventory.entries()[of].file());
                    assert_eq!(entry.truth, inventory.entries()[of].truth);
                }
                EntryKind::Picture => {
                    assert_eq!(seen.insert(entry.file(), index), None);
                    assert!(entry.truth.is_some());
                }
                _ => assert_eq!(entry.truth, None),
            }
            assert_eq!(inventory.get(&entry.path).map(|found| &found.path), Some(&entry.path));
        }
    }

    #[test]
    fn a_dead_link_has_no_file() {
        let (_, inventory) = small(300);

        let dead = inventory.entries().iter().find(|entry| entry.kind == EntryKind::Dead).unwrap();

        assert!(dead.file().is_none());
    }
}
