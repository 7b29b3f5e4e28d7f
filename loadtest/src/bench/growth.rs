//! The same work with more and more behind it.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::index::sample;
use tagfleet_shared::events::ListedImage;
use tokio::task::block_in_place;

use super::cached::{self, rescrape};
use super::fleet::Fleet;
use super::limits::stock::{self, Stock};
use super::pictures::Pictures;
use super::results::{Mark, Row};
use super::{Bench, progress};

/// A database for each size, filled before anything is measured: so many known images, and as many
/// images that scrapes of the day have listed. Then, in turns, pictures that nobody has seen before
/// and known ones from all over the table, each in all databases.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    anyhow::ensure!(bench.rows.len() > 1, "growth needs --rows with two sizes at least");
    let known = cached::IMAGES * bench.images;
    let (mut grounds, mut rows) = (Vec::new(), Vec::new());
    for size in bench.rows.clone() {
        let ground = Ground::fill(bench, size, known).await?;
        rows.extend(bytes_per_row(&ground).await?);
        grounds.push(ground);
    }
    let Some((smallest, larger)) = grounds.split_first_mut() else { return Ok(rows) };
    let row = |what: &str, size: usize, unit: &str| {
        let name = format!("{what}, {} against {} rows", shown(size), shown(smallest.size));
        Row::new(8, name, unit).mark(Mark::RatioAtLeast(0.85))
    };
    let mut speeds: Vec<_> = larger
        .iter()
        .map(|ground| (row("uncached", ground.size, "images/s"), row("cached", ground.size, "jobs/s")))
        .collect();

    let mut written =
        [Row::new(8, "WAL of an uncached image", "bytes"), Row::new(8, "WAL of a cached job", "bytes")];
    let mut pictures = block_in_place(|| Pictures::draw(bench.runs * bench.images))?;
    for run in 1..=bench.runs {
        let listed = pictures.list(bench.images);
        let few = smallest.work(&listed).await?;
        progress(&format!("growth {run}/{}: {} rows: {few}", bench.runs, shown(smallest.size)));
        for (ground, (uncached, cached)) in larger.iter_mut().zip(&mut speeds) {
            let many = ground.work(&listed).await?;
            progress(&format!("growth {run}/{}: {} rows: {many}", bench.runs, shown(ground.size)));
            uncached.measured(many.uncached, few.uncached);
            cached.measured(many.cached, few.cached);
            written[0].reached(many.uncached_wal);
            written[1].reached(many.cached_wal);
        }
    }
    for ground in grounds {
        ground.fleet.end().await?;
    }
    rows.extend(written);
    rows.extend(speeds.into_iter().flat_map(|(uncached, cached)| [uncached, cached]));
    Ok(rows)
}

/// A fleet with a past.
struct Ground {
    size: usize,
    fleet: Fleet,
    /// Of the images that it knows, those that are scraped again.
    known: Vec<ListedImage>,
}

/// What was measured in one turn.
#[derive(Clone, Copy)]
struct Pace {
    /// Images per second.
    uncached: f64,
    /// Jobs per second.
    cached: f64,
    /// Bytes that an image makes the database log, from its listing to its outcome.
    uncached_wal: f64,
    /// Of a known image.
    cached_wal: f64,
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "uncached {:.0} images/s, cached {:.0} jobs/s", self.uncached, self.cached)
    }
}

impl Ground {
    /// `size` known images, and `known` more that will be scraped again and lie between the others.
    async fn fill(bench: &mut Bench, size: usize, known: usize) -> anyhow::Result<Self> {
        let fleet = bench.fleet().await?;
        // Its model set is the one that knows the images.
        fleet.start_worker().await?.stop().await?;
        progress(&format!("growth: filling the tables with {} rows", shown(size)));
        let total = size + known;
        Stock::of(total).fill(&fleet.pool).await?;
        let chosen = sample(&mut Xoshiro256PlusPlus::seed_from_u64(8), total, known);
        let known = chosen
            .into_iter()
            .map(|number| ListedImage { url: stock::url(number), ..ListedImage::default() });
        Ok(Self { size, known: known.collect(), fleet })
    }

    async fn work(&mut self, unseen: &[ListedImage]) -> anyhow::Result<Pace> {
        let worker = self.fleet.start_worker().await?;
        let begun = self.logged().await?;
        let scrape = self.fleet.publish(unseen.to_vec()).await?;
        self.fleet.until_tagged(&scrape, "inferred").await?;
        let between = self.logged().await?;
        let uncached = self.fleet.pace(&scrape).await?;
        let cached = rescrape(&mut self.fleet, &[&worker], &self.known).await?;
        let ended = self.logged().await?;
        worker.stop().await?;
        let uncached_wal = (between - begun) / unseen.len() as f64;
        Ok(Pace { uncached, cached, uncached_wal, cached_wal: (ended - between) / self.known.len() as f64 })
    }

    /// Bytes that the server has logged so far, for all of its databases.
    async fn logged(&self) -> anyhow::Result<f64> {
        const SQL: &str = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8";
        Ok(self.fleet.pool.get().await?.query_one(SQL, &[]).await?.get(0))
    }
}

/// What a row takes on disk, its share of the indexes included.
async fn bytes_per_row(ground: &Ground) -> anyhow::Result<[Row; 2]> {
    const SQL: &str = "
        SELECT pg_total_relation_size('image_tags')::float8 / (SELECT count(*) FROM image_tags),
               sum(pg_total_relation_size(inhrelid))::float8 / (SELECT count(*) FROM scrape_images)
          FROM pg_inherits WHERE inhparent = 'scrape_images'::regclass";
    let row = ground.fleet.pool.get().await?.query_one(SQL, &[]).await?;
    let bytes = |table: &str, column: usize| {
        let mut bytes = Row::new(8, format!("a row of {table}, of {}", shown(ground.size)), "bytes");
        bytes.reached(row.get(column));
        bytes
    };
    Ok([bytes("image_tags", 0), bytes("scrape_images", 1)])
}

/// `1,000,000`.
pub fn shown(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_commas() {
        assert_eq!([7, 1000, 10_000_000].map(shown), ["7", "1,000", "10,000,000"]);
    }
}
