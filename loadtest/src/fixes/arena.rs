//! A few images over which everybody fights at the same time, and a look at every row that comes of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use futures::StreamExt;
use futures::stream;
use jiff::civil::Date;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tagfleet_shared::fixes::{self, Correction, Verdict};
use tagfleet_shared::ids::{ImageId, ScrapeId};
use tagfleet_shared::jobs::TagImage;
use tagfleet_shared::tags::Tags;
use tokio::sync::{Mutex as Turns, mpsc};
use tokio_postgres::types::Json;

use super::ledger::{EVERYBODY, Ledger, Place};
use super::workers::{Said, Worker};
use super::{ADVERTISERS, ATTRIBUTES, Shared};

/// Images of an arena: few, so that everybody is after the same.
const IMAGES: usize = 16;
/// Scrapes of each advertiser.
const SCRAPES: usize = 20;
/// People who fix and withdraw.
const PEOPLE: usize = 4;
/// What each of them does.
const DEEDS: usize = 30;
/// Times that somebody empties the second cache tier of an image.
const EVICTIONS: usize = 60;
/// Jobs of a worker at the same time.
const JOBS: usize = 48;

/// One row of a scrape, and all that may be in it but fixes.
struct Row {
    job: Arc<TagImage>,
    advertiser: usize,
    configured: Option<String>,
    /// What workers were about to write; the first of them has.
    said: Mutex<Vec<Said>>,
}

/// The images, their rows and their fixes.
pub struct Arena<'a> {
    shared: &'a Shared,
    number: usize,
    day: Date,
    images: Vec<ImageId>,
    ledger: Ledger,
    /// Whoever fixes a place has its turn, so that there is an order.
    turns: HashMap<Place, Turns<()>>,
    rows: Mutex<HashMap<(i64, i32), Arc<Row>>>,
}

impl<'a> Arena<'a> {
    /// The `number`-th arena, where nothing has happened yet.
    pub fn new(shared: &'a Shared, number: usize, day: Date) -> Self {
        let key = |image| format!("{} {number} {image}", shared.race.seed);
        let images = (0..IMAGES).map(|image| ImageId::of(Some(&key(image)), "")).collect();
        let places = (0..IMAGES).flat_map(|image| {
            let of_scope =
                move |scope| (0..ATTRIBUTES.len()).map(move |attribute| Place { image, scope, attribute });
            (0..=ADVERTISERS).flat_map(of_scope)
        });
        let turns = places.map(|place| (place, Turns::default())).collect();
        Self { shared, number, day, images, ledger: Ledger::default(), turns, rows: Mutex::default() }
    }

    /// Everybody at once, until all has happened; then every row is looked at once more.
    pub async fn fight(&self) -> anyhow::Result<()> {
        let (listed, jobs) = mpsc::channel(2 * JOBS);
        let jobs = Turns::new(jobs);
        let people = futures::future::try_join_all((0..PEOPLE).map(|person| self.fix(person)));
        let workers =
            futures::future::try_join_all(self.shared.workers.iter().map(|worker| self.work(worker, &jobs)));
        let (people, workers, list, evict) = tokio::join!(people, workers, self.list(listed), self.evict());
        people?;
        workers?;
        list?;
        evict?;
        if self.shared.race.plant {
            self.plant().await?;
        }
        for image in 0..IMAGES {
            self.look(image).await?;
        }
        let open = self.rows().values().filter(|row| row.said().is_empty()).count();
        anyhow::ensure!(open == 0, "{open} rows were never written");
        Ok(())
    }

    fn random(&self, actor: u64) -> StdRng {
        StdRng::seed_from_u64(self.shared.race.seed ^ (self.number as u64) << 16 ^ actor << 48)
    }

    /// Advertisers list their images again and again; some state a colour.
    async fn list(&self, listed: mpsc::Sender<Arc<Row>>) -> anyhow::Result<()> {
        const SCRAPE: &str = "
            INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, published, published_at)
            VALUES ($1, $2, 'express', 'tagging', $3, now(), $4, $4, now()) RETURNING key";
        const IMAGES_OF_IT: &str = "
            INSERT INTO scrape_images (day, scrape, seq, image_id, url, configured)
            SELECT $1, $2, i.seq, i.image, 'http://image.test/', i.configured
              FROM unnest($3::int4[], $4::uuid[], $5::jsonb[]) AS i (seq, image, configured)";
        let mut random = self.random(1);
        for scrape in 0..SCRAPES * ADVERTISERS {
            let advertiser = 1 + scrape % ADVERTISERS;
            let scrape_id = ScrapeId(format!("{}-{}-{scrape}", self.shared.race.seed, self.number));
            let mut client = self.shared.pool.get().await?;
            let transaction = client.transaction().await?;
            let name = advertiser_id(advertiser);
            let count = i32::try_from(IMAGES)?;
            let key: i64 =
                transaction.query_one(SCRAPE, &[&scrape_id.0, &name, &self.day, &count]).await?.get(0);
            let rows: Vec<_> = (0..count)
                .map(|seq| {
                    let image = random.random_range(0..IMAGES);
                    let configured = (random.random_range(0..4) == 0).then(|| format!("configured {scrape}"));
                    let url = "http://image.test/".to_owned();
                    let (day, image_id) = (self.day, self.images[image]);
                    let job = TagImage {
                        day,
                        scrape: key,
                        seq,
                        scrape_id: scrape_id.clone(),
                        image: image_id,
                        url,
                    };
                    Arc::new(Row { job: job.into(), advertiser, configured, said: Mutex::default() })
                })
                .collect();
            let seqs: Vec<_> = rows.iter().map(|row| row.job.seq).collect();
            let images: Vec<_> = rows.iter().map(|row| row.job.image.0).collect();
            let stated = |row: &Arc<Row>| {
                row.configured.as_ref().map(|color| Json(serde_json::json!({ ATTRIBUTES[0]: color })))
            };
            let configured: Vec<_> = rows.iter().map(stated).collect();
            transaction.execute(IMAGES_OF_IT, &[&self.day, &key, &seqs, &images, &configured]).await?;
            self.rows().extend(rows.iter().map(|row| ((row.job.scrape, row.job.seq), row.clone())));
            transaction.commit().await?;
            drop(client);
            self.shared.counts.scrapes();
            for row in rows {
                listed.send(row).await.context("the workers are gone")?;
            }
        }
        Ok(())
    }

    /// One worker's part of the jobs; now and then one comes to both.
    async fn work(&self, worker: &Worker, jobs: &Turns<mpsc::Receiver<Arc<Row>>>) -> anyhow::Result<()> {
        let mine = stream::unfold((), async |()| Some((jobs.lock().await.recv().await?, ())));
        let mine = std::pin::pin!(mine);
        let mut ends = mine
            .map(async |row| {
                let twice = row.job.seq % 8 == 0;
                let other = self.shared.workers.iter().find(|other| twice && !std::ptr::eq(*other, worker));
                let first = self.write(worker, &row);
                match other {
                    Some(other) => tokio::try_join!(first, self.write(other, &row)).map(drop),
                    None => first.await,
                }
            })
            .buffer_unordered(JOBS);
        while let Some(end) = ends.next().await {
            end?;
        }
        Ok(())
    }

    async fn write(&self, worker: &Worker, row: &Row) -> anyhow::Result<()> {
        let (said, outcome) = worker.find_out(&row.job).await?;
        // Before it can be in the row.
        row.said().push(said);
        worker.record(&row.job, outcome).await?;
        self.shared.counts.write_backs();
        Ok(())
    }

    /// A person fixes and withdraws, for one advertiser and for everybody, and looks at once.
    async fn fix(&self, person: usize) -> anyhow::Result<()> {
        let mut random = self.random(2 + person as u64);
        for deed in 0..DEEDS {
            let image = random.random_range(0..IMAGES);
            let scope = random.random_range(0..=ADVERTISERS);
            let place = Place { image, scope, attribute: random.random_range(0..ATTRIBUTES.len()) };
            let withdraws = random.random_range(0..3) == 0;
            let turn = self.turns[&place].lock().await;
            let value = format!("person {person} deed {deed}");
            let withdraws = withdraws && self.ledger.is_fixed(place);
            let verdict = if withdraws { Verdict::Withdraw } else { Verdict::Set(Some(&value)) };
            self.ledger.begin(place, (!withdraws).then(|| value.clone()));
            if withdraws {
                self.shared.counts.withdrawals();
            } else {
                self.shared.counts.fixes();
            }
            let correction = Correction {
                images: &[self.images[image]],
                place: fixes::Place {
                    advertiser: &advertiser_id(scope),
                    attribute: ATTRIBUTES[place.attribute],
                },
                verdict,
                by: "a person",
                note: None,
            };
            fixes::fix(&self.shared.pool, &correction).await?;
            self.ledger.done(place);
            drop(turn);
            self.look(image).await?;
        }
        Ok(())
    }

    /// What models said is forgotten, in the second tier; the first is small, and forgets by itself.
    async fn evict(&self) -> anyhow::Result<()> {
        let mut random = self.random(99);
        for _ in 0..EVICTIONS {
            let image = self.images[random.random_range(0..IMAGES)];
            let client = self.shared.pool.get().await?;
            client.execute("DELETE FROM image_tags WHERE image_id = $1", &[&image.0]).await?;
            self.shared.counts.evictions();
        }
        Ok(())
    }

    /// Looks at every row of an image that is written.
    async fn look(&self, image: usize) -> anyhow::Result<()> {
        const SQL: &str =
            "SELECT scrape, seq, tags FROM scrape_images WHERE image_id = $1 AND outcome IS NOT NULL";
        let from = self.ledger.now();
        let client = self.shared.pool.get().await?;
        let found = client.query(SQL, &[&self.images[image].0]).await?;
        drop(client);
        let to = self.ledger.now();
        for found in found {
            let (scrape, seq, Json(tags)): (_, _, Json<Tags>) = (found.get(0), found.get(1), found.get(2));
            let row = self.rows().get(&(scrape, seq)).cloned().context("a row that nobody has listed")?;
            for (attribute, name) in ATTRIBUTES.iter().enumerate() {
                let place = |scope| self.ledger.possible(Place { image, scope, attribute }, from, to);
                let allowed = allowed(&row, attribute, place(row.advertiser), place(EVERYBODY));
                let value = tags.0.get(*name).cloned().flatten();
                self.shared.counts.looked_at(allowed.contains(&value), || {
                    format!(
                        "{name} of row {seq} of scrape {scrape} (arena {}, image {image}, advertiser {}) is {value:?}, and not one of {allowed:?}",
                        self.number, row.advertiser
                    )
                });
            }
        }
        Ok(())
    }

    /// What a worker would leave that does not know of fixes.
    async fn plant(&self) -> anyhow::Result<()> {
        const SQL: &str = "
            UPDATE scrape_images SET tags = base
             WHERE (scrape, seq) = (SELECT scrape, seq FROM scrape_images
                                     WHERE image_id = ANY($1) AND base IS NOT NULL AND base <> tags LIMIT 1)";
        let images: Vec<_> = self.images.iter().map(|image| image.0).collect();
        let planted = self.shared.pool.get().await?.execute(SQL, &[&images]).await?;
        anyhow::ensure!(planted == 1, "there is no fixed row to spoil");
        Ok(())
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, HashMap<(i64, i32), Arc<Row>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn said(&self) -> std::sync::MutexGuard<'_, Vec<Said>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The precedence: the advertiser's fix, everybody's, what the scrape stated, what the models said.
fn allowed(
    row: &Row,
    attribute: usize,
    own: Vec<Option<String>>,
    everybodys: Vec<Option<String>>,
) -> Vec<Option<String>> {
    let mut allowed = Vec::new();
    for fix in own {
        if fix.is_some() {
            allowed.push(fix);
            continue;
        }
        for fix in &everybodys {
            match (fix, &row.configured) {
                (Some(_), _) => allowed.push(fix.clone()),
                (None, Some(color)) if attribute == 0 => allowed.push(Some(color.clone())),
                (None, _) => allowed.extend(row.said().iter().map(|said| said.0[attribute].clone())),
            }
        }
    }
    allowed
}

/// Its name in the database, where everybody has none.
fn advertiser_id(number: usize) -> String {
    if number == EVERYBODY { String::new() } else { format!("advertiser {number}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_precedence_of_the_design() {
        let job = TagImage {
            day: Date::constant(2026, 1, 1),
            scrape: 1,
            seq: 1,
            scrape_id: ScrapeId("s".into()),
            image: ImageId(Uuid::nil()),
            url: String::new(),
        };
        let value = |text: &str| Some(text.to_owned());
        let said = Mutex::new(vec![Said([value("red"), value("Dealer")])]);
        let row = Row { job: job.into(), advertiser: 1, configured: value("mauve"), said };

        assert_eq!(allowed(&row, 0, vec![None], vec![None]), [value("mauve")]);
        assert_eq!(allowed(&row, 1, vec![None], vec![None]), [value("Dealer")]);
        assert_eq!(allowed(&row, 0, vec![None], vec![value("gold")]), [value("gold")]);
        assert_eq!(allowed(&row, 0, vec![value("teal")], vec![value("gold")]), [value("teal")]);
        let either = allowed(&row, 1, vec![value("a"), None], vec![value("b"), None]);
        assert_eq!(either, [value("a"), value("b"), value("Dealer")]);
    }
}
