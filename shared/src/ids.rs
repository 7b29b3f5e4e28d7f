//! Who is who: the ids that travel between the parts.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

/// The longest id that a pipeline may give to a scrape or an advertiser, in bytes.
pub const MAX_ID_BYTES: usize = 200;

/// One image, wherever and however often it is listed.
///
/// A 128-bit hash of the scrape's `image_key`, or of the normalised URL where
/// there is no key. It is a cryptographic hash (BLAKE3, truncated), because
/// the URLs come from strangers: nobody can make a picture that takes over the
/// tags of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub Uuid);

impl ImageId {
    /// The id of an image that the pipeline knows by `image_key`, or by its URL alone.
    pub fn of(image_key: Option<&str>, url: &str) -> Self {
        match image_key {
            Some(key) => Self(hash128("tagfleet image key", key.as_bytes())),
            // `Url` lower-cases scheme and host and drops the default port;
            // the fragment never reaches a server.
            None => match Url::parse(url) {
                Ok(mut url) => {
                    url.set_fragment(None);
                    Self(hash128("tagfleet image url", url.as_str().as_bytes()))
                }
                Err(_) => Self(hash128("tagfleet image url", url.as_bytes())),
            },
        }
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One image in one listing of an advertiser: what can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaceId(pub Uuid);

impl PlaceId {
    /// The place of `image`; in all listings where none is named.
    pub fn of(advertiser: &AdvertiserId, image: ImageId, listing: Option<&str>) -> Self {
        let mut bytes = image.0.as_bytes().to_vec();
        bytes.push(u8::from(listing.is_some()));
        // No advertiser has a NUL in its name.
        for text in [advertiser.0.as_str(), "\0", listing.unwrap_or_default()] {
            bytes.extend_from_slice(text.as_bytes());
        }
        Self(hash128("tagfleet image place", &bytes))
    }
}

/// The content of one downloaded file: a 128-bit hash of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BytesHash(pub Uuid);

impl BytesHash {
    /// Hashes a whole file.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hash128("tagfleet image bytes", bytes))
    }
}

/// One scrape of one advertiser's inventory, as the pipeline calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ScrapeId(#[schemars(length(min = 1, max = MAX_ID_BYTES))] pub String);

/// The dealer or agency whose inventory was scraped, as the pipeline calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AdvertiserId(#[schemars(length(min = 1, max = MAX_ID_BYTES))] pub String);

impl fmt::Display for ScrapeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for AdvertiserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// BLAKE3 keyed by what is hashed, so that a key never equals a URL.
///
/// The contexts are part of the stored data: changing one forgets every tag.
fn hash128(context: &str, bytes: &[u8]) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(bytes);
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    Uuid::from_bytes(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids are stored for years: this text must never change.
    #[test]
    fn ids_are_stable() {
        let by_key = ImageId::of(Some("cdn/7"), "http://img.test/7.jpg");
        let by_url = ImageId::of(None, "http://img.test/7.jpg");
        assert_eq!(by_key.to_string(), "4a47f34f-4d85-ce7b-6eef-b7cba3420be0");
        assert_eq!(by_url.to_string(), "f793355f-499f-81ed-4123-ca7e9b0d824e");
    }

    /// So are places.
    #[test]
    fn places_are_stable_and_differ_by_each_of_their_parts() {
        let place = |advertiser: &str, key, listing| {
            PlaceId::of(&AdvertiserId(advertiser.into()), ImageId::of(Some(key), ""), listing).0.to_string()
        };
        assert_eq!(place("a", "k", Some("l")), "ac9e3bcc-6a80-63e6-e07b-07c638a48585");
        let others = [
            ("b", "k", Some("l")),
            ("a", "m", Some("l")),
            ("a", "k", Some("m")),
            ("a", "k", None),
            ("a", "k", Some("")),
        ];
        let all: std::collections::BTreeSet<_> = others.map(|(a, k, l)| place(a, k, l)).into();
        assert_eq!(all.len(), others.len());
    }

    #[test]
    fn spellings_of_one_url_are_one_image() {
        let plain = ImageId::of(None, "http://img.test/a.jpg");
        assert_eq!(plain, ImageId::of(None, "HTTP://IMG.test:80/a.jpg#top"));
        assert_ne!(plain, ImageId::of(None, "http://img.test/A.jpg"));
        assert_ne!(plain, ImageId::of(None, "http://img.test/a.jpg?w=1"));
    }

    #[test]
    fn the_key_decides_where_there_is_one() {
        let one = ImageId::of(Some("k"), "http://a.test/1.jpg");
        assert_eq!(one, ImageId::of(Some("k"), "http://b.test/2.jpg"));
        assert_ne!(one, ImageId::of(None, "k"));
    }
}
