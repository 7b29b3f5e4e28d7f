//! The precedence of the design against the statements that carry it out: whatever people, scrapes and models say,
//! and in whatever order, a row is what the list says, highest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tagfleet_loadtest::fixes::ATTRIBUTES;
use tagfleet_loadtest::fixes::workers::Worker;
use tagfleet_shared::events::ListedImage;
use tagfleet_shared::fixes::{self, Correction, EVERYONE, Place, Verdict};
use tagfleet_shared::ids::{BytesHash, ImageId, ScrapeId};
use tagfleet_shared::jobs::TagImage;
use tagfleet_shared::tags::Tags;
use tagfleet_tests::{Services, TestDatabase};
use tagfleet_worker::model::Answer;
use tagfleet_worker::outcome::{Known, Outcome};
use tokio_postgres::types::Json;
use uuid::Uuid;

/// Who has listed the image.
const ADVERTISER: &str = "dealer";
/// Another advertiser's fix must change nothing.
const SCOPES: [&str; 3] = [ADVERTISER, "another dealer", EVERYONE];
/// What the model set of the test gives where its models say nothing.
const DEFAULT: &str = "default of models";

/// One image from its listing to its end, and all that is said of it.
#[derive(Clone, Debug)]
struct Case {
    /// As the scrape has it: null and `N/A` state nothing.
    configured: Tags,
    end: End,
    /// What people do before the image is listed, before its outcome is written, and after that.
    deeds: [Vec<Deed>; 3],
}

#[derive(Clone, Debug)]
enum End {
    Inferred(Tags),
    Defaulted,
    Skipped,
}

#[derive(Clone, Debug)]
struct Deed {
    advertiser: &'static str,
    attribute: &'static str,
    /// None: what was fixed is withdrawn.
    value: Option<Option<String>>,
}

fn word() -> impl Strategy<Value = String> {
    select(vec!["red", "blue", "Dealer", "N/A"]).prop_map(str::to_owned)
}

/// A value for some of the attributes, null among them.
fn some_tags() -> impl Strategy<Value = Tags> {
    let value = || proptest::option::of(proptest::option::of(word()));
    [value(), value()].prop_map(|values| {
        let values = ATTRIBUTES.into_iter().zip(values);
        values.filter_map(|(attribute, value)| Some((attribute, value?))).collect()
    })
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let value = proptest::option::of(proptest::option::of(word()));
    let deed = (select(SCOPES.to_vec()), select(ATTRIBUTES.to_vec()), value);
    vec(deed.prop_map(|(advertiser, attribute, value)| Deed { advertiser, attribute, value }), 0..3)
}

fn case() -> impl Strategy<Value = Case> {
    let answer = [proptest::option::of(word()), proptest::option::of(word())];
    let inferred = answer.prop_map(|values| End::Inferred(ATTRIBUTES.into_iter().zip(values).collect()));
    let end = prop_oneof![3 => inferred, 1 => Just(End::Defaulted), 1 => Just(End::Skipped)];
    let case = (some_tags(), end, [deeds(), deeds(), deeds()]);
    case.prop_map(|(configured, end, deeds)| Case { configured, end, deeds })
}

/// The design's list.
fn expected(case: &Case) -> Tags {
    let mut fixed = BTreeMap::new();
    for Deed { advertiser, attribute, value } in case.deeds.iter().flatten() {
        match value {
            Some(value) => fixed.insert((*advertiser, *attribute), value.clone()),
            None => fixed.remove(&(*advertiser, *attribute)),
        };
    }
    let value = |attribute: &'static str| {
        let fix = |advertiser: &'static str| fixed.get(&(advertiser, attribute)).cloned();
        let configured = || case.configured.get(attribute).filter(|value| *value != "N/A");
        let said = || match &case.end {
            End::Inferred(tags) => tags.0.get(attribute).cloned(),
            End::Defaulted => Some(Some(DEFAULT.to_owned())),
            End::Skipped => None,
        };
        fix(ADVERTISER)
            .or_else(|| fix(EVERYONE))
            .or_else(|| configured().map(|value| Some(value.to_owned())))
            .or_else(said)
    };
    ATTRIBUTES.into_iter().filter_map(|attribute| Some((attribute, value(attribute)?))).collect()
}

/// The tables, and the worker that writes into them.
struct Table {
    database: TestDatabase,
    worker: Worker,
    day: Date,
}

impl Table {
    async fn create() -> Self {
        const DAY: &str = "SELECT d, ensure_partition(d) FROM (SELECT now()::date d) t";
        let database = TestDatabase::create(&Services::shared().database_url).await;
        let worker = Worker::start(&database.pool, "models").await.unwrap();
        let day = database.pool.get().await.unwrap().query_one(DAY, &[]).await.unwrap().get(0);
        Self { database, worker, day }
    }

    /// Lets all of it happen to an image of its own; the tags that its row has then.
    async fn tags_after(&self, case: &Case) -> Tags {
        const TAGS: &str = "SELECT tags FROM scrape_images WHERE image_id = $1";
        let image = ImageId(Uuid::new_v4());
        let [before_listing, before_writing, after] = &case.deeds;
        self.carry_out(image, before_listing).await;
        let job = self.list(image, case.configured.clone()).await;
        self.carry_out(image, before_writing).await;
        self.worker.record(&job, outcome(&case.end)).await.unwrap();
        self.carry_out(image, after).await;
        let client = self.database.pool.get().await.unwrap();
        let Json(tags) = client.query_one(TAGS, &[&image.0]).await.unwrap().get(0);
        tags
    }

    async fn list(&self, image: ImageId, configured: Tags) -> Arc<TagImage> {
        const SQL: &str = "
            WITH scrape AS (
                INSERT INTO scrapes (scrape_id, advertiser_id, lane, state, day, finished_at, listed, published)
                VALUES ($1, $2, 'express', 'tagging', $3::date, now(), 1, 1) RETURNING key)
            INSERT INTO scrape_images (day, scrape, seq, image_id, url, configured)
            SELECT $3, key, 0, $4::uuid, '', $5::jsonb FROM scrape RETURNING scrape";
        let scrape_id = ScrapeId(image.0.to_string());
        let listed = ListedImage { configured: Some(configured), ..ListedImage::default() };
        let stated = listed.stated().map(Json);
        let client = self.database.pool.get().await.unwrap();
        let row = client.query_one(SQL, &[&scrape_id.0, &ADVERTISER, &self.day, &image.0, &stated]).await;
        let scrape = row.unwrap().get(0);
        TagImage { day: self.day, scrape, seq: 0, scrape_id, image, url: String::new() }.into()
    }

    async fn carry_out(&self, image: ImageId, deeds: &[Deed]) {
        for Deed { advertiser, attribute, value } in deeds {
            let verdict = value.as_ref().map_or(Verdict::Withdraw, |value| Verdict::Set(value.as_deref()));
            let place = Place { advertiser, attribute };
            let correction = Correction { images: &[image], place, verdict, by: "test", note: None };
            fixes::fix(&self.database.pool, &correction).await.unwrap();
        }
    }
}

fn outcome(end: &End) -> Outcome {
    match end {
        End::Inferred(tags) => {
            let answer = Answer { tags: tags.clone(), ..Answer::default() };
            let bytes = BytesHash(Uuid::new_v4());
            Outcome::Inferred(Known { answer, bytes, width: 1, height: 1, last_look: None }.into())
        }
        End::Defaulted => Outcome::parked("killed_worker"),
        End::Skipped => Outcome::superseded(),
    }
}

#[test]
fn a_row_is_what_the_precedence_says_whatever_was_said() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let table = runtime.block_on(Table::create());
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });

    let held = runner.run(&case(), |case| {
        prop_assert_eq!(runtime.block_on(table.tags_after(&case)), expected(&case));
        Ok(())
    });

    assert!(held.is_ok(), "{}", held.unwrap_err());
}
