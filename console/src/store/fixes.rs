//! Corrections: one, many at once, back to an earlier one, undone.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::{ClientWrapper, Pool, Transaction};
use futures::try_join;
use tagfleet_shared::db::DbError;
use tagfleet_shared::fixes::{self, Correction, Entry, Place, Verdict};
use tagfleet_shared::ids::ImageId;
use tokio_postgres::Row;
use tracing::warn;
use uuid::Uuid;

use super::BY_KEYS;
use super::audit;
use super::version::{self, Version};

/// How a correction went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corrected {
    /// It holds, everywhere: these are its entries in the history.
    Done(Vec<Entry>),
    /// It is written, and holds for all that is tagged from now on; the rows that are there follow, by the
    /// scheduler's sweep.
    Due(Vec<Entry>),
    /// Nothing was written: these images have changed since they were seen.
    Changed(Vec<ImageId>),
    /// Nothing was written: nobody has ever listed these images.
    Unknown(Vec<ImageId>),
    /// Nothing was written: there are no such entries in the history.
    NoEntry(Vec<i64>),
}

/// What becomes of one place of some images.
#[derive(Clone, Debug)]
struct Deed {
    images: Vec<ImageId>,
    advertiser: String,
    attribute: String,
    /// None: it is withdrawn.
    value: Option<Option<String>>,
}

/// A wish about these images, and who has it and why.
struct Wanted<'a> {
    images: &'a [ImageId],
    by: &'a str,
    note: Option<&'a str>,
    wish: Wish<'a>,
}

/// What somebody wants.
enum Wish<'a> {
    /// This, unless one of the images has changed since it was seen.
    Deed(Deed, &'a HashMap<ImageId, Version>),
    /// What held before these entries.
    Undo(&'a [i64]),
}

/// Writes `correction`, unless one of its images has changed since `seen`, and merges it into every row.
///
/// It and the beginning of its `line` are one transaction, all of it or nothing. When it is done, no reader sees
/// the old value.
///
/// # Errors
///
/// If the database is away: nothing was written.
pub async fn correct(
    pool: &Pool,
    correction: &Correction<'_>,
    seen: &HashMap<ImageId, Version>,
    line: &audit::Write,
) -> Result<Corrected, DbError> {
    let deed = Deed {
        images: correction.images.to_vec(),
        advertiser: correction.place.advertiser.into(),
        attribute: correction.place.attribute.into(),
        value: match correction.verdict {
            Verdict::Set(value) => Some(value.map(str::to_owned)),
            Verdict::Withdraw => None,
        },
    };
    let Correction { images, by, note, .. } = *correction;
    let wanted = Wanted { images, by, note, wish: Wish::Deed(deed, seen) };
    carry_out(&mut *pool.get().await?, &wanted, line).await
}

/// The attribute and the value that the entry `id` set; none if it withdrew a fix, or there is no such entry.
///
/// # Errors
///
/// If the database is away.
pub async fn set_by(pool: &Pool, id: i64) -> Result<Option<(String, Option<String>)>, DbError> {
    const SQL: &str = "SELECT attribute, to_value FROM fix_history WHERE id = $1 AND action = 'set'";
    let row = pool.get().await?.query_opt(SQL, &[&id]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// Brings the place that the entry `id` is about back to what held after it, unless the image has changed
/// since `seen`.
///
/// # Errors
///
/// As [`correct`].
pub async fn revert(
    pool: &Pool,
    id: i64,
    seen: Option<&Version>,
    by: &str,
    line: &audit::Write,
) -> Result<Corrected, DbError> {
    const SQL: &str = "
        SELECT image_id, advertiser_id, attribute, action = 'set', to_value FROM fix_history WHERE id = $1";
    let mut client = pool.get().await?;
    let Some(row) = client.query_opt(SQL, &[&id]).await? else {
        return Ok(Corrected::NoEntry(vec![id]));
    };
    let deed = read_deed(&row);
    let images = deed.images.clone();
    let seen = seen.map(|version| (images[0], version.clone())).into_iter().collect();
    let note = format!("back to entry {id}");
    let wanted = Wanted { images: &images, by, note: Some(&note), wish: Wish::Deed(deed, &seen) };
    carry_out(&mut client, &wanted, line).await
}

/// What holds again when an entry is undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The entry.
    pub entry: i64,
    /// What it is about.
    pub attribute: String,
    /// The value of before.
    pub value: Option<String>,
}

/// The values that an undo of these entries brings back, each once; where it withdraws a fix, it brings back none.
///
/// # Errors
///
/// If the database is away.
pub async fn restored_by(pool: &Pool, ids: &[i64]) -> Result<Vec<Restored>, DbError> {
    // What `before` finds, without its locks: what came before an entry stays as it is.
    const SQL: &str = "
        SELECT min(h.id), h.attribute, b.to_value
          FROM (SELECT DISTINCT ON (image_id, advertiser_id, attribute) id, image_id, advertiser_id, attribute
                  FROM fix_history
                 WHERE id = ANY($1) ORDER BY image_id, advertiser_id, attribute, id) h
         CROSS JOIN LATERAL (SELECT action, to_value FROM fix_history b
                              WHERE b.image_id = h.image_id AND b.advertiser_id = h.advertiser_id
                                AND b.attribute = h.attribute AND b.id < h.id
                              ORDER BY b.id DESC LIMIT 1) b
         WHERE b.action = 'set' GROUP BY h.attribute, b.to_value ORDER BY 1";
    let rows = pool.get().await?.query(SQL, &[&ids]).await?;
    let read = |row: &Row| Restored { entry: row.get(0), attribute: row.get(1), value: row.get(2) };
    Ok(rows.iter().map(read).collect())
}

/// Brings the places that these entries are about back to what held before them.
///
/// Nothing, if somebody other than `by` has written to one of them since, or what holds there is not what the entries
/// left: who has undone the correction after this one undoes this one next.
///
/// # Errors
///
/// As [`correct`].
pub async fn undo(pool: &Pool, ids: &[i64], by: &str, line: &audit::Write) -> Result<Corrected, DbError> {
    const IMAGES: &str = "SELECT id, image_id FROM fix_history WHERE id = ANY($1)";
    let mut client = pool.get().await?;
    let rows = client.query(IMAGES, &[&ids]).await?;
    let found: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
    let missing: Vec<_> = ids.iter().copied().filter(|id| !found.contains(id)).collect();
    if !missing.is_empty() {
        return Ok(Corrected::NoEntry(missing));
    }
    let images: Vec<_> = rows.iter().map(|row| ImageId(row.get(1))).collect();
    let wanted = Wanted { images: &images, by, note: Some("undone"), wish: Wish::Undo(ids) };
    carry_out(&mut client, &wanted, line).await
}

/// Plans and writes while the fixes of `images` wait, commits, and merges, all by one connection: a pool that others
/// have emptied meanwhile keeps nobody from the merge.
async fn carry_out(
    client: &mut ClientWrapper,
    wanted: &Wanted<'_>,
    line: &audit::Write,
) -> Result<Corrected, DbError> {
    let entries = loop {
        match write(client, wanted, line).await {
            Ok(Ok(entries)) => break entries,
            Ok(Err(refused)) => return Ok(refused),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    };
    Ok(match fixes::apply_all(client, wanted.images).await {
        Ok(_) => Corrected::Done(entries),
        Err(error) => {
            warn!(%error, "a correction is written, and its rows wait for the sweep");
            Corrected::Due(entries)
        }
    })
}

/// What does not wait for each other is sent together: each answer that is waited for is time in which the images are
/// locked.
async fn write(
    client: &mut ClientWrapper,
    wanted: &Wanted<'_>,
    line: &audit::Write,
) -> Result<Result<Vec<Entry>, Corrected>, DbError> {
    let Wanted { images, by, note, wish } = wanted;
    let transaction = client.transaction().await?;
    let by_keys = async { Ok(transaction.batch_execute(BY_KEYS).await?) };
    try_join!(by_keys, fixes::lock(&transaction, images))?;
    let deeds = match wish {
        Wish::Deed(deed, seen) => allowed(&transaction, deed, seen).await?,
        Wish::Undo(ids) => before(&transaction, ids, by).await?,
    };
    let deeds = match deeds {
        Ok(deeds) => deeds,
        Err(refused) => return Ok(Err(refused)),
    };
    let all = async {
        let mut entries = Vec::new();
        for Deed { images, advertiser, attribute, value } in &deeds {
            let verdict = value.as_ref().map_or(Verdict::Withdraw, |value| Verdict::Set(value.as_deref()));
            let place = Place { advertiser, attribute };
            let correction = Correction { images, place, verdict, by, note: *note };
            entries.extend(fixes::correct(&transaction, &correction).await?);
        }
        Ok(entries)
    };
    let ((), entries) = try_join!(line.begin(&transaction), all)?;
    transaction.commit().await?;
    Ok(Ok(entries))
}

/// `deed`, if its images are known and have not changed since they were seen.
async fn allowed(
    transaction: &Transaction<'_>,
    deed: &Deed,
    seen: &HashMap<ImageId, Version>,
) -> Result<Result<Vec<Deed>, Corrected>, DbError> {
    let place = Place { advertiser: &deed.advertiser, attribute: &deed.attribute };
    let (unknown, changed) =
        try_join!(unknown(transaction, &deed.images), version::changed(transaction, seen, place))?;
    if !unknown.is_empty() {
        return Ok(Err(Corrected::Unknown(unknown)));
    }
    Ok(if changed.is_empty() { Ok(vec![deed.clone()]) } else { Err(Corrected::Changed(changed)) })
}

/// What has to be done so that what held before the entries `ids` holds again, if `by` alone has written there since and
/// what they left holds still.
async fn before(
    transaction: &Transaction<'_>,
    ids: &[i64],
    by: &str,
) -> Result<Result<Vec<Deed>, Corrected>, DbError> {
    // After the entry before it. Of several entries about one place, before the first; what they left, the last left.
    const SQL: &str = "
        SELECT DISTINCT ON (h.image_id, h.advertiser_id, h.attribute)
               h.image_id, h.advertiser_id, h.attribute, coalesce(b.action = 'set', false), b.to_value,
               later.others OR (left_by.action, left_by.to_value) IS DISTINCT FROM (holds.action, holds.to_value)
          FROM fix_history h
          LEFT JOIN LATERAL (SELECT action, to_value FROM fix_history b
                              WHERE b.image_id = h.image_id AND b.advertiser_id = h.advertiser_id
                                AND b.attribute = h.attribute AND b.id < h.id
                              ORDER BY b.id DESC LIMIT 1) b ON true
         CROSS JOIN LATERAL (SELECT action, to_value FROM fix_history l
                              WHERE l.image_id = h.image_id AND l.advertiser_id = h.advertiser_id
                                AND l.attribute = h.attribute AND l.id = ANY($1)
                              ORDER BY l.id DESC LIMIT 1) left_by
         CROSS JOIN LATERAL (SELECT action, to_value FROM fix_history n
                              WHERE n.image_id = h.image_id AND n.advertiser_id = h.advertiser_id
                                AND n.attribute = h.attribute
                              ORDER BY n.id DESC LIMIT 1) holds
         CROSS JOIN LATERAL (SELECT count(*) > 0 AS others FROM fix_history n
                              WHERE n.image_id = h.image_id AND n.advertiser_id = h.advertiser_id
                                AND n.attribute = h.attribute AND n.id > h.id AND n.id <> ALL($1)
                                AND n.fixed_by <> $2) later
         WHERE h.id = ANY($1) ORDER BY h.image_id, h.advertiser_id, h.attribute, h.id";
    let rows = transaction.query(SQL, &[&ids, &by]).await?;
    let changed: Vec<_> = rows.iter().filter(|row| row.get(5)).map(|row| ImageId(row.get(0))).collect();
    Ok(if changed.is_empty() {
        Ok(together(rows.iter().map(read_deed)))
    } else {
        Err(Corrected::Changed(changed))
    })
}

/// Image, advertiser, attribute, whether it is set, value.
fn read_deed(row: &Row) -> Deed {
    Deed {
        images: vec![ImageId(row.get(0))],
        advertiser: row.get(1),
        attribute: row.get(2),
        value: row.get::<_, bool>(3).then(|| row.get(4)),
    }
}

/// Deeds that do the same to different images as one deed.
fn together(deeds: impl Iterator<Item = Deed>) -> Vec<Deed> {
    let mut groups: HashMap<_, Vec<ImageId>> = HashMap::new();
    for Deed { images, advertiser, attribute, value } in deeds {
        groups.entry((advertiser, attribute, value)).or_default().extend(images);
    }
    let deed = |((advertiser, attribute, value), images)| Deed { images, advertiser, attribute, value };
    groups.into_iter().map(deed).collect()
}

/// Of `images`, those that nobody has ever listed or tagged.
async fn unknown(transaction: &Transaction<'_>, images: &[ImageId]) -> Result<Vec<ImageId>, DbError> {
    const SQL: &str = "
        SELECT image FROM unnest($1::uuid[]) AS image
         WHERE NOT EXISTS (SELECT FROM image_tags WHERE image_id = image)
           AND NOT EXISTS (SELECT FROM scrape_images WHERE image_id = image)
           AND NOT EXISTS (SELECT FROM fix_history WHERE image_id = image)";
    let images: Vec<Uuid> = images.iter().map(|image| image.0).collect();
    let statement = transaction.prepare_cached(SQL).await?;
    let rows = transaction.query(&statement, &[&images]).await?;
    Ok(rows.iter().map(|row| ImageId(row.get(0))).collect())
}
