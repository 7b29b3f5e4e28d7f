//! What a console finds in the database: many inventories, all tagged.

use deadpool_postgres::Pool;
use jiff::civil::Date;
use uuid::Uuid;

/// Images of an inventory.
const INVENTORY: usize = 50_000;

/// Days of which the inventories are, today's among them: each has a partition, and a look-up asks them all.
const DAYS: usize = 10;

/// The end of the id of every image and of the hash of its bytes; the beginning is its number, so that rows come in the
/// order of the indexes and filling takes minutes. What is looked up lies all over them.
const TAIL: u128 = 0x7777_7777_7777_7777_7777_7777;

/// Inventories, one for each advertiser.
pub struct Past {
    pool: Pool,
    images: usize,
}

impl Past {
    /// None yet.
    pub async fn new(pool: Pool) -> anyhow::Result<Self> {
        const SQL: &str =
            "SELECT ensure_partition(current_date - n) FROM generate_series(0, $1::int - 1) AS n";
        pool.get().await?.execute(SQL, &[&(DAYS as i32)]).await?;
        Ok(Self { pool, images: 0 })
    }

    /// Its images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Whoever has listed them: `advertiser-0` and so on.
    pub fn advertisers(&self) -> usize {
        self.images.div_ceil(INVENTORY)
    }

    /// The image of this number.
    pub fn image(number: usize) -> Uuid {
        Uuid::from_u128((number as u128) << 96 | TAIL)
    }

    /// Adds inventories until there are so many images, and has the database tidy up.
    pub async fn grow(&mut self, images: usize) -> anyhow::Result<()> {
        const SCRAPE: &str = "
            INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, published, outcomes,
                                 published_at, tagged_at, announced_at)
            VALUES ('of-' || $1::text, $1, 'bulk', 'tagged', current_date - $3::int, now() - $3 * interval '1 day', $2::int, $2,
                    jsonb_build_object('inferred', $2::int), now(), now(), now()) RETURNING key, day";
        const IMAGES: &str = "
            WITH numbered AS MATERIALIZED (
                SELECT n, (lpad(to_hex(n), 8, '0') || repeat('7', 24))::uuid AS id,
                       jsonb_build_object('color', (ARRAY['black', 'white', 'red', 'blue'])[1 + n % 4],
                                          'image_type', 'Dealer') AS tags
                  FROM generate_series($2::int8, $3::int8 - 1) AS n
            ), live AS (SELECT max(id) AS id FROM model_sets), tagged AS (
                INSERT INTO image_tags (image_id, model_set, tags, scores, bytes_hash, width, height)
                SELECT n.id, live.id, tags, jsonb_build_object('color', 0.5 + n % 50 / 100.0, 'image_type', 0.9876),
                       n.id, 1024, 768 FROM numbered n, live)
            INSERT INTO scrape_images (day, scrape, seq, image_id, url, listing_id, position, outcome, tags, model_set,
                                       recorded_at)
            SELECT $4::date, $1::int8, n - $2, n.id, 'https://images.example/inventory/photos/' || n || '.jpg',
                   'listing-' || n / 8, n % 8, 'inferred', tags, live.id, now() FROM numbered n, live ORDER BY n";
        let client = self.pool.get().await?;
        while self.images < images {
            let end = images.min(self.images + INVENTORY);
            let (advertiser, listed) = (advertiser(self.advertisers()), (end - self.images) as i32);
            let days_ago = (self.advertisers() % DAYS) as i32;
            let scrape = client.query_one(SCRAPE, &[&advertiser, &listed, &days_ago]).await?;
            let (key, day): (i64, Date) = (scrape.get(0), scrape.get(1));
            client.execute(IMAGES, &[&key, &(self.images as i64), &(end as i64), &day]).await?;
            self.images = end;
        }
        client.batch_execute("SET statement_timeout = 0").await?;
        for table in ["image_tags", "scrape_images", "scrapes"] {
            client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).await?;
        }
        // What was filled in shall not be written back while something is measured.
        Ok(client.batch_execute("CHECKPOINT").await?)
    }

    /// The API token of a person of this number, who may read and correct.
    pub async fn token(&self, number: usize) -> anyhow::Result<String> {
        const SQL: &str = "
            INSERT INTO api_tokens (name, hash, rights) VALUES ($1::text, sha256(convert_to($1, 'UTF8')), '{read,fix}')
            ON CONFLICT DO NOTHING";
        let token = format!("bench-{number}");
        self.pool.get().await?.execute(SQL, &[&token]).await?;
        Ok(token)
    }
}

/// The name of an advertiser.
pub fn advertiser(number: usize) -> String {
    format!("advertiser-{number}")
}
