//! The fleet, its faults one after the other, and what Prometheus made of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context;
use tagfleet_shared::lane::Lane;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::boards::Board;
use super::prometheus::{Prometheus, Series, Target};
use super::rules::Rules;
use super::{faults, now, pictures, say};
use crate::chaos::arena::Arena;
use crate::chaos::fleet::Member;
use crate::chaos::load::{self, Load, Most};
use crate::chaos::proxy::Mode;
use crate::origin::Content;

/// Logs, models and Prometheus' own files of the last run.
pub const FOLDER: &str = "target/monitoring";
/// The longest that an alert may take to fire. Much longer than it does: this machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long everything is well before the first fault.
const WELL: Duration = Duration::from_secs(20);
/// What follows where nothing is tagged for a while, whatever the reason.
const CONSEQUENCES: &[&str] =
    &["TagfleetImagesWait", "TagfleetServiceLevelFast", "TagfleetServiceLevelSlow", "TagfleetNothingTagged"];
/// Images that are open at most: small scrapes have to be quick.
const OPEN: i64 = 150;

/// A fleet under load, and a Prometheus that looks at it.
pub struct Proof {
    arena: Arc<Arena>,
    spare: Member,
    models: PathBuf,
    prometheus: Prometheus,
    begun: f64,
    /// When the fault of each alert began.
    causes: Mutex<BTreeMap<String, f64>>,
    paused: Arc<AtomicBool>,
    stop: CancellationToken,
}

/// What became of the expressions of a dashboard.
pub struct Expressions {
    /// How many there are.
    pub asked: usize,
    /// Those that gave nothing, or nonsense.
    pub problems: Vec<String>,
    /// Of each panel.
    pub answers: Vec<Vec<(String, Series)>>,
}

impl Proof {
    /// Starts everything.
    pub async fn begin(program: &Path, rules: &Rules) -> anyhow::Result<Self> {
        let folder = Path::new(FOLDER);
        // Of an earlier run.
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder)?;
        say("starting servers, fleet and Prometheus");
        let models = faults::copy_of_the_set(folder)?;
        let inventory = Arc::new(tokio::task::spawn_blocking(|| load::inventory(10, 2000)).await?);
        let own = |name: &str| faults::settings(name, &models);
        let content = Content::Inventory(inventory.clone());
        let arena = Arc::new(Arena::with(content, folder, &own).await?);
        let spare = arena.worker(4, folder, &own).await?;
        faults::cluster(&arena, 0.5, now() + 1e7);
        let prometheus =
            Prometheus::start(program, &folder.join("prometheus"), rules, &targets(&arena, &spare)).await?;

        let (open, paused) = (Arc::<AtomicI64>::default(), Arc::<AtomicBool>::default());
        let stop = CancellationToken::new();
        let load = Load::new(arena.clone(), inventory, 10, Most { images: usize::MAX, open: OPEN });
        tokio::spawn(load.run(open.clone(), stop.clone()));
        tokio::spawn(count_open(arena.clone(), open, paused.clone(), stop.clone()));
        let (begun, causes) = (now(), Mutex::default());
        Ok(Self { arena, spare, models, prometheus, begun, causes, paused, stop })
    }

    /// From when to when everything is asked.
    pub fn span(&self) -> (f64, f64) {
        (self.begun, now())
    }

    /// Does to the fleet what each alert is about. Returns which did not fire, or fired too early.
    pub async fn alerts(&self, rules: &Rules) -> anyhow::Result<Vec<String>> {
        // Before the first scrape nobody can be seen.
        while !self.prometheus.firing().await?.is_empty() || !self.is_seen().await? {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let well = now();
        say(&format!("all is well for {} s", WELL.as_secs()));
        tokio::time::sleep(WELL).await;
        self.fixes().await?;
        self.sources_go_bad().await?;
        self.models_go_bad().await?;
        self.database_goes_away().await?;
        self.workers_go_away().await?;
        self.broker_takes_nothing().await?;
        self.schedulers_go_away().await?;

        let causes = self.causes.lock().await;
        let mut problems = Vec::new();
        for alert in rules.alerts() {
            let name = &alert.name;
            let expr = format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}");
            let fired = self.prometheus.range(&expr, well, now()).await?;
            let first = fired.iter().filter_map(|series| series.points.first()).map(|point| point.0);
            match (causes.get(name), first.reduce(f64::min)) {
                (None, _) => problems.push(format!("{name}: nothing here makes it fire")),
                (Some(_), None) => problems.push(format!("{name}: did not fire")),
                (Some(cause), Some(first)) if first < *cause => {
                    problems.push(format!("{name}: fired {:.0} s before its fault", cause - first));
                }
                _ => {}
            }
        }
        Ok(problems)
    }

    /// Whether Prometheus knows every process.
    async fn is_seen(&self) -> anyhow::Result<bool> {
        let seen = "count(tagfleet_scheduler_build_info or tagfleet_worker_build_info)";
        let seen = self.prometheus.range(seen, now() - 1.0, now()).await?;
        let most = seen.iter().flat_map(|series| &series.points).map(|point| point.1).fold(0.0, f64::max);
        Ok(most as usize == self.arena.fleet.members.len())
    }

    /// Waits until these fire, whose fault begins now.
    async fn fire(&self, what: &str, alerts: &[&str]) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut waiting: Vec<&str> = alerts.to_vec();
        while !waiting.is_empty() {
            let firing = self.prometheus.firing().await?;
            waiting.retain(|alert| !firing.iter().any(|name| name == alert));
            if begun.elapsed() > PATIENCE {
                // Told again in the end; what comes after it is worth knowing, too.
                say(&format!("{what}: {} did not fire within {} s", waiting.join(", "), PATIENCE.as_secs()));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        say(&format!("{what}: {} after {:.0} s", alerts.join(", "), begun.elapsed().as_secs_f64()));
        // Long enough to be seen in what is asked afterwards.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    }

    /// From now on these may fire: their fault begins, or another one that has them as a consequence.
    async fn begins(&self, alerts: &[&str]) {
        let (at, mut causes) = (now(), self.causes.lock().await);
        for alert in alerts {
            causes.entry((*alert).to_owned()).or_insert(at);
        }
    }

    /// People correct something: no fault, but what the panels about it show.
    async fn fixes(&self) -> anyhow::Result<()> {
        const SQL: &str = "
            INSERT INTO fixes (image_id, attribute, value, fixed_by)
            SELECT image_id, 'color', 'red', 'somebody' FROM image_tags LIMIT 5;
            SELECT apply_fixes(image_id) FROM fixes";
        self.arena.execute(SQL).await
    }

    async fn sources_go_bad(&self) -> anyhow::Result<()> {
        const ALERTS: &[&str] = &[
            "TagfleetDeadLetters",
            "TagfleetDefaultsHigh",
            "TagfleetSkipsHigh",
            "TagfleetCacheCollapsed",
            "TagfleetWrongProvider",
            "TagfleetRestartLoop",
            "TagfleetConsumersGone",
            "TagfleetDiskFull",
            "TagfleetCertificateEnds",
        ];
        self.begins(ALERTS).await;
        // Its workers are killed and stopped.
        self.begins(CONSEQUENCES).await;
        self.paused.store(true, Ordering::Relaxed);
        faults::cluster(&self.arena, 0.05, now() + 86_400.0);
        pictures::publish_bytes(&self.arena, "malformed", b"{}".to_vec()).await?;
        self.spare.start().await?;
        faults::forget_consumer(&self.arena, "chaos.jobs.bulk").await?;
        let troubled = async {
            for number in 0.. {
                let id = format!("troubled-{number}");
                pictures::publish(&self.arena, &id, Lane::Express, pictures::troubled(&self.arena, &id, 60)?)
                    .await?;
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
            anyhow::Ok(())
        };
        let restarting = async {
            // A scheduler starts within a second, even on a busy machine.
            let last = faults::members(&self.arena, false).last().context("no schedulers")?;
            loop {
                last.kill().await?;
                last.start().await?;
                last.until_ready().await?;
                tokio::time::sleep(Duration::from_millis(1300)).await;
            }
            #[expect(unreachable_code, reason = "the type of the block")]
            anyhow::Ok(())
        };
        tokio::select! {
            fired = self.fire("bad sources, a scheduler that dies, a worker without its GPU, a forgotten consumer", ALERTS) => fired?,
            ended = troubled => ended?,
            ended = restarting => ended?,
        }
        faults::cluster(&self.arena, 0.5, now() + 1e7);
        faults::purge(&self.arena, "chaos.dead").await?;
        self.spare.stop().await?;
        // Whoever was forgotten begins anew.
        for worker in faults::members(&self.arena, true) {
            worker.stop().await?;
            worker.start().await?;
        }
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    async fn models_go_bad(&self) -> anyhow::Result<()> {
        const ALERTS: &[&str] = &["TagfleetModelsFail", "TagfleetModelSetsDiffer"];
        let third = faults::members(&self.arena, true).last().context("no workers")?;
        third.until_ready().await?;
        self.begins(ALERTS).await;
        faults::spoil(&self.models)?;
        third.post("/models/reload").await?;
        let failing = async {
            for number in 0.. {
                let id = format!("red-{number}");
                pictures::publish(&self.arena, &id, Lane::Express, pictures::red(&self.arena, &id, 100)?)
                    .await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            fired = self.fire("one worker has another model set, which fails", ALERTS) => fired?,
            ended = failing => ended?,
        }
        faults::copy_of_the_set(Path::new(FOLDER))?;
        third.post("/models/reload").await
    }

    async fn database_goes_away(&self) -> anyhow::Result<()> {
        const AWAY: &[&str] = &["TagfleetServerAway", "TagfleetFanOutBehind"];
        const SLOW: &[&str] = &["TagfleetDatabaseConnectionsShort"];
        self.begins(AWAY).await;
        // A scrape stands still, and callers wait for connections that cannot be had.
        self.begins(&["TagfleetScrapeStuck", "TagfleetDatabaseConnectionsShort"]).await;
        faults::database(&self.arena, Mode::Cut);
        for number in 0..25 {
            let id = format!("waiting-{number}");
            pictures::publish(&self.arena, &id, Lane::Express, pictures::red(&self.arena, &id, 1)?).await?;
        }
        self.fire("the database is away, and events come", AWAY).await?;
        faults::database(&self.arena, Mode::Pass);

        self.begins(SLOW).await;
        // What cannot be listed looks like nothing: the load would never end.
        self.paused.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let client = self.arena.database.get().await?;
        client.batch_execute("BEGIN; LOCK TABLE scrape_images, image_tags IN ACCESS EXCLUSIVE MODE").await?;
        self.fire("the database is slow", SLOW).await?;
        client.batch_execute("ROLLBACK").await?;
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    async fn workers_go_away(&self) -> anyhow::Result<()> {
        const GONE: &[&str] = &[
            "TagfleetNothingTagged",
            "TagfleetLaneWithoutWorker",
            "TagfleetImagesWait",
            "TagfleetScrapeStuck",
            "TagfleetJobsGetLost",
        ];
        const LATE: &[&str] = &["TagfleetServiceLevelFast", "TagfleetServiceLevelSlow"];
        self.begins(GONE).await;
        self.begins(LATE).await;
        let since = Instant::now();
        for worker in faults::members(&self.arena, true) {
            worker.stop().await?;
        }
        pictures::publish(&self.arena, "lost", Lane::Bulk, pictures::red(&self.arena, "lost", 7)?).await?;
        let published = "SELECT count(*) FROM scrapes WHERE scrape_id = 'lost' AND state = 'tagging'";
        while self.arena.count(published).await? == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let bulk = self.arena.broker.topology().lane_queue(Lane::Bulk);
        faults::purge(&self.arena, &bulk).await?;
        self.fire("no workers, and jobs that get lost", GONE).await?;
        // Until even the last image that waited is late.
        tokio::time::sleep_until(since + Duration::from_secs(30)).await;
        for worker in faults::members(&self.arena, true) {
            worker.start().await?;
        }
        self.fire("workers again, and everything was late", LATE).await
    }

    async fn broker_takes_nothing(&self) -> anyhow::Result<()> {
        const ALERTS: &[&str] = &["TagfleetPublishingBlocked"];
        self.begins(ALERTS).await;
        faults::memory_alarm(&self.arena, true).await?;
        let fired = self.fire("the broker is short of memory", ALERTS).await;
        faults::memory_alarm(&self.arena, false).await?;
        fired
    }

    async fn schedulers_go_away(&self) -> anyhow::Result<()> {
        const ALERTS: &[&str] = &["TagfleetNoScheduler"];
        self.begins(ALERTS).await;
        for scheduler in faults::members(&self.arena, false) {
            scheduler.stop().await?;
        }
        self.fire("no schedulers", ALERTS).await?;
        for scheduler in faults::members(&self.arena, false) {
            scheduler.start().await?;
        }
        Ok(())
    }

    /// Asks everything that a dashboard asks, about this span of time.
    pub async fn expressions(&self, board: &Board, (from, to): (f64, f64)) -> anyhow::Result<Expressions> {
        let mut told = Expressions { asked: 0, problems: Vec::new(), answers: Vec::new() };
        for panel in &board.panels {
            let answers = panel.ask(&self.prometheus, from, to).await?;
            let at = format!("{}: {}", board.title, panel.title);
            for (expr, _) in &panel.queries {
                told.asked += 1;
                if !gives_data(&self.prometheus.range(expr, from, to).await?) {
                    told.problems.push(format!("{at}: no data: {expr}"));
                }
            }
            let values = answers.iter().flat_map(|(_, series)| &series.points).map(|point| point.1);
            if let Some(value) = values.filter(|value| value.is_finite()).find(|value| !panel.is_sane(*value))
            {
                told.problems.push(format!("{at}: {value} {}", panel.unit));
            }
            told.answers.push(answers);
        }
        for expr in &board.annotations {
            told.asked += 1;
            if !gives_data(&self.prometheus.range(expr, from, to).await?) {
                told.problems.push(format!("{}: annotation without data: {expr}", board.title));
            }
        }
        for selector in &board.variables {
            told.asked += 1;
            if !self.prometheus.has_series(selector).await? {
                told.problems.push(format!("{}: no values for a variable: {selector}", board.title));
            }
        }
        Ok(told)
    }

    /// Every recording rule has given data, and every rule can be evaluated.
    pub async fn rules(&self, rules: &Rules) -> anyhow::Result<Vec<String>> {
        let mut problems = self.prometheus.sick_rules().await?;
        for record in rules.records() {
            let series = self.prometheus.range(&record, self.begun, now()).await?;
            let sane =
                series.iter().flat_map(|one| &one.points).all(|point| point.1.is_nan() || point.1 >= 0.0);
            if !gives_data(&series) || !sane {
                problems.push(format!("{record}: no data, or nonsense"));
            }
        }
        Ok(problems)
    }

    /// Stops everything.
    pub async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.arena.fleet.stop().await
    }
}

fn gives_data(series: &[Series]) -> bool {
    series.iter().flat_map(|one| &one.points).any(|point| point.1.is_finite())
}

/// The fleet as a cluster would label it, and what the cluster itself would tell.
fn targets(arena: &Arena, spare: &Member) -> Vec<Target> {
    let target = |address: String, pod: &str, pool: Option<&str>| {
        let mut labels = BTreeMap::from([("namespace", "fleet".to_owned()), ("pod", pod.to_owned())]);
        labels.extend(pool.map(|pool| ("pool", pool.to_owned())));
        Target { address, labels }
    };
    let mut targets: Vec<_> = arena
        .fleet
        .members
        .iter()
        .map(|member| {
            let pool = member.name.starts_with("worker").then_some("cpu");
            target(member.admin.clone(), &member.name, pool)
        })
        .collect();
    targets.push(target(spare.admin.clone(), &spare.name, Some("gpu")));
    targets.push(target(arena.origin.address().to_string(), "cluster", None));
    targets
}

/// Tells the load how many images are open; while it is paused, that there is no room.
async fn count_open(
    arena: Arc<Arena>,
    open: Arc<AtomicI64>,
    paused: Arc<AtomicBool>,
    stop: CancellationToken,
) {
    const SQL: &str = "
        SELECT coalesce(sum(s.listed - p.images), 0)::int8 + count(*)
          FROM scrapes s CROSS JOIN LATERAL (SELECT coalesce(sum(images), 0) AS images FROM scrape_progress
                                              WHERE scrape = s.key) p WHERE s.state IN ('fanning_out', 'tagging')";
    while !stop.is_cancelled() {
        let images = arena.count(SQL).await.unwrap_or(i64::MAX / 2);
        open.store(if paused.load(Ordering::Relaxed) { i64::MAX / 2 } else { images }, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
