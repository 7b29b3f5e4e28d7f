//! Reads a ledger, and says what became of every image.

mod excuse;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::Timestamp;
use tagfleet_shared::outcome::PARKED;

use self::excuse::{Excuses, Fault};
use super::ledger::{Entry, Kind, Listed, What};

/// Violations that are told in words; the rest are counted.
const TOLD: usize = 20;

/// What became of all images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Scrapes that were published.
    pub scrapes: usize,
    /// Faults that began.
    pub faults: usize,
    /// Images that were published.
    pub attempted: usize,
    /// Of these, images with an outcome.
    pub finished: usize,
    /// Of these, images without one.
    pub lost: usize,
    /// Outcomes that are wrong for their image, or of images that nobody published, and
    /// announcements that do not add up.
    pub unexpected: usize,
    /// Outcomes that were written again.
    pub doubled: usize,
    /// Good pictures that could not be had, or not be read, while their host was unwell.
    pub excused: usize,
    /// Images that were open when a fault began, and came to their outcome after that.
    pub recovered: usize,
    /// Scrapes that were never announced.
    pub unannounced: usize,
    /// Announcements that were made again, with the same id: allowed under faults.
    pub announced_again: usize,
    /// Some of the violations in words.
    pub told: Vec<String>,
}

impl Verdict {
    /// Whether nothing is lost, unexpected, doubled or unannounced.
    pub fn is_clean(&self) -> bool {
        self.lost + self.unexpected + self.doubled + self.unannounced == 0
    }

    fn tell(&mut self, violation: impl FnOnce() -> String) {
        if self.told.len() < TOLD {
            self.told.push(violation());
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} faults, {} scrapes: attempted {}, finished {}, lost {}, unexpected {}, doubled {}, excused {}, recovered {}, \
             unannounced {}, announced again {}",
            self.faults,
            self.scrapes,
            self.attempted,
            self.finished,
            self.lost,
            self.unexpected,
            self.doubled,
            self.excused,
            self.recovered,
            self.unannounced,
            self.announced_again
        )
    }
}

/// One outcome of an image.
struct Outcome<'a> {
    at: Timestamp,
    word: &'a str,
    reason: Option<&'a str>,
    tags: &'a str,
}

/// A scrape as the ledger tells it.
#[derive(Default)]
struct Scrape<'a> {
    published: Option<(Timestamp, &'a [Listed])>,
    written: HashMap<i32, Vec<Outcome<'a>>>,
    announced: Vec<(&'a str, u64, &'a BTreeMap<String, u64>)>,
}

/// Judges a whole ledger.
pub fn judge(ledger: &[Entry]) -> Verdict {
    let (scrapes, faults) = collect(ledger);
    let excuses = Excuses::of(&faults);
    let begun = faults.iter().filter(|fault| !fault.failed).count();
    let mut verdict = Verdict { faults: begun, ..Verdict::default() };
    // What the models said of an address, in whatever scrape.
    let mut said: HashMap<&str, &str> = HashMap::new();
    for (id, scrape) in &scrapes {
        let Some((published, images)) = scrape.published else {
            verdict.unexpected +=
                scrape.written.values().map(Vec::len).sum::<usize>() + scrape.announced.len();
            verdict.tell(|| format!("{id}: nobody has published it"));
            continue;
        };
        verdict.scrapes += 1;
        verdict.attempted += images.len();
        for (seq, image) in (0..).zip(images) {
            match scrape.written.get(&seq).map(Vec::as_slice) {
                None | Some([]) => {
                    verdict.lost += 1;
                    verdict.tell(|| format!("{id} {seq} {}: lost", image.path));
                }
                Some([outcome, again @ ..]) => {
                    verdict.finished += 1;
                    verdict.doubled += again.len();
                    if !again.is_empty() {
                        verdict
                            .tell(|| format!("{id} {seq} {}: written {} times", image.path, again.len() + 1));
                    }
                    let met = |fault: &Fault<'_>| {
                        !fault.failed && published < fault.begun && fault.begun < outcome.at
                    };
                    verdict.recovered += usize::from(faults.iter().any(met));
                    let mut differs = || {
                        image.kind.is_good()
                            && has_answer(outcome)
                            && *said.entry(&image.path).or_insert(outcome.tags) != outcome.tags
                    };
                    let is_right = is_right(image.kind, published, outcome, &excuses);
                    verdict.excused += usize::from(is_right && image.kind.is_good() && !has_answer(outcome));
                    if !is_right || differs() {
                        verdict.unexpected += 1;
                        verdict.tell(|| {
                            let Outcome { word, reason, tags, .. } = outcome;
                            format!("{id} {seq} {}: {word} {reason:?} {tags}", image.path)
                        });
                    }
                }
            }
        }
        let strangers =
            scrape.written.keys().filter(|seq| usize::try_from(**seq).map_or(true, |n| n >= images.len()));
        let strangers = strangers.count();
        if strangers > 0 {
            verdict.unexpected += strangers;
            verdict.tell(|| format!("{id}: outcomes of {strangers} images that it does not list"));
        }
        announcements(id, scrape, images.len(), &mut verdict);
    }
    verdict
}

fn collect(ledger: &[Entry]) -> (BTreeMap<&str, Scrape<'_>>, Vec<Fault<'_>>) {
    let (mut scrapes, mut faults) = (BTreeMap::<&str, Scrape<'_>>::new(), Vec::<Fault<'_>>::new());
    for Entry { at, what } in ledger {
        match what {
            What::Published { scrape, images } => {
                scrapes.entry(scrape).or_default().published = Some((*at, images));
            }
            What::Written { scrape, seq, outcome, reason, tags } => {
                let outcome = Outcome { at: *at, word: outcome, reason: reason.as_deref(), tags };
                scrapes.entry(scrape).or_default().written.entry(*seq).or_default().push(outcome);
            }
            What::Announced { scrape, event_id, images, outcomes } => {
                scrapes.entry(scrape).or_default().announced.push((event_id, *images, outcomes));
            }
            What::FaultBegun { .. } | What::FaultFailed { .. } | What::FaultEnded { .. } => {
                Fault::note(&mut faults, *at, what);
            }
        }
    }
    (scrapes, faults)
}

/// Whether the models have answered.
fn has_answer(outcome: &Outcome<'_>) -> bool {
    matches!(outcome.word, "inferred" | "cached" | "matched")
}

/// Whether an image of this kind may come to this outcome. The fleet must never have given up on it
/// for a reason of its own; the host of the pictures may have been unwell.
fn is_right(kind: Kind, published: Timestamp, outcome: &Outcome<'_>, excuses: &Excuses<'_>) -> bool {
    const OUR_OWN: [&str; 2] = ["inference", "superseded"];
    let reason = outcome.reason.unwrap_or_default();
    if OUR_OWN.contains(&reason) || PARKED.contains(&reason) {
        return false;
    }
    match (kind, outcome.word) {
        (Kind::Picture | Kind::Late | Kind::Broken, "inferred" | "cached" | "matched") => true,
        (Kind::Broken, "defaulted") | (Kind::Dead, "skipped") => true,
        // So little of it is left that it is not even taken for a picture.
        (Kind::Broken, "skipped") if reason == "not_an_image" => true,
        (Kind::Late, "skipped") => excuses.cover_late(reason, published, outcome.at),
        (_, "skipped" | "defaulted") => excuses.cover(reason, outcome.at),
        _ => false,
    }
}

/// At least one announcement for each scrape, all with the same id, and with the counts of what was written.
fn announcements(id: &str, scrape: &Scrape<'_>, images: usize, verdict: &mut Verdict) {
    let Some((first, ..)) = scrape.announced.first() else {
        verdict.unannounced += 1;
        verdict.tell(|| format!("{id}: never announced"));
        return;
    };
    verdict.announced_again += scrape.announced.len() - 1;
    let mut written = BTreeMap::<&str, u64>::new();
    scrape.written.values().filter_map(|outcomes| outcomes.first()).for_each(|outcome| {
        *written.entry(outcome.word).or_default() += 1;
    });
    for (event_id, of, outcomes) in &scrape.announced {
        let told: BTreeMap<&str, u64> =
            outcomes.iter().filter(|(_, n)| **n > 0).map(|(word, n)| (word.as_str(), *n)).collect();
        if event_id != first || *of != images as u64 || told != written {
            verdict.unexpected += 1;
            verdict.tell(|| {
                format!("{id}: announced {of} images as {told:?}, written are {written:?} of {images}")
            });
        }
    }
}
