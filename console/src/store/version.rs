//! Has an image changed since somebody saw it?
//!
//! A version is the last entry of the image's fixes, and the beginning of the hash of its bytes as
//! the models saw them: `17.4a47f34f`. The machine's own values are not in it: a person's word
//! about a picture holds whatever a machine says of it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use deadpool_postgres::GenericClient;
use tagfleet_shared::db::DbError;
use tagfleet_shared::fixes::{EVERYONE, Place};
use tagfleet_shared::ids::ImageId;

/// What somebody saw of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    entry: i64,
    bytes: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.entry, self.bytes)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (entry, bytes) = text.split_once('.').ok_or(())?;
        let is_bytes = matches!(bytes.len(), 1..=8) && bytes.bytes().all(|b| b.is_ascii_hexdigit());
        let entry = entry.parse().ok().filter(|entry| *entry >= 0).ok_or(())?;
        is_bytes.then(|| Self { entry, bytes: bytes.to_owned() }).ok_or(())
    }
}

/// SQL for the two parts of a version of the image `image`; `0` for bytes that nobody saw.
pub const OF_IMAGE: &str = "
    coalesce((SELECT max(h.id) FROM fix_history h WHERE h.image_id = image), 0)
    || '.' || coalesce((SELECT left(t.bytes_hash::text, 8) FROM image_tags t WHERE t.image_id = image
                         ORDER BY greatest(t.validated_at, t.tagged_at) DESC LIMIT 1), '0')";

/// Of `seen`, the images that have changed since, as far as `place` is concerned: another picture is
/// there, or somebody wrote a fix of this attribute that this advertiser sees.
///
/// # Errors
///
/// If the database is away.
pub async fn changed(
    client: &impl GenericClient,
    seen: &HashMap<ImageId, Version>,
    place: Place<'_>,
) -> Result<Vec<ImageId>, DbError> {
    let sql = format!(
        "SELECT image FROM unnest($1::uuid[], $2::int8[], $3::text[]) AS s (image, entry, bytes)
          WHERE split_part({OF_IMAGE}, '.', 2) <> s.bytes
             OR EXISTS (SELECT FROM fix_history h
                         WHERE h.image_id = image AND h.id > s.entry AND h.attribute = $4
                           AND ($5 = $6 OR h.advertiser_id IN ($5, $6)))"
    );
    let images: Vec<_> = seen.keys().map(|image| image.0).collect();
    let entries: Vec<_> = seen.values().map(|version| version.entry).collect();
    let bytes: Vec<_> = seen.values().map(|version| &*version.bytes).collect();
    let statement = client.prepare_cached(&sql).await?;
    let rows = client
        .query(&statement, &[&images, &entries, &bytes, &place.attribute, &place.advertiser, &EVERYONE])
        .await?;
    Ok(rows.iter().map(|row| ImageId(row.get(0))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_written() {
        for text in ["0.0", "17.4a47f34f"] {
            assert_eq!(text.parse::<Version>().unwrap().to_string(), text);
        }
        for text in ["", "17", "17.", "-1.0", "17.xyz", "17.4a47f34f0", "x.0"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
