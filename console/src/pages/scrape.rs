//! `/scrapes/{scrape_id}`: one scrape, which follows how far it is.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;

use super::{Html, Layout, live};
use crate::auth::Person;
use crate::state::Console;
use crate::store::images::{self, Image};
use crate::store::scrapes::{self, Reason, Scrape};
use crate::web::{Path, Problem};

/// Pictures that the page shows itself; the grid has all of them.
const SHOWN: u32 = 24;

/// The page.
#[derive(Template)]
#[template(path = "scrape.html")]
struct ScrapePage {
    layout: Layout,
    now: Now,
    images: Vec<Image>,
}

/// How far it is.
#[derive(Template)]
#[template(path = "scrape_now.html")]
struct Now {
    scrape: Scrape,
    reasons: Vec<Reason>,
}

impl Now {
    async fn of(console: &Console, scrape_id: &str) -> Result<Self, Problem> {
        let scrape = scrapes::one(&console.pool, scrape_id, console.config.scrapes.stuck_after).await?;
        let scrape = scrape.ok_or_else(|| Problem::not_found(format_args!("scrape {scrape_id}")))?;
        let reasons = scrapes::reasons(&console.pool, scrape_id).await?;
        Ok(Self { scrape, reasons })
    }

    fn is_unfinished(&self) -> bool {
        matches!(&*self.scrape.state, "fanning_out" | "tagging" | "changing")
    }

    /// Images that have none yet.
    fn open(&self) -> i64 {
        i64::from(self.scrape.images) - self.scrape.ended
    }

    /// Images that came to this outcome.
    fn ended(&self, outcome: &str) -> i64 {
        self.scrape.outcomes.get(outcome).copied().unwrap_or(0)
    }
}

/// Shows it.
pub async fn scrape(
    State(console): State<Console>,
    Path(scrape_id): Path<String>,
    person: Person,
) -> Result<impl IntoResponse, Problem> {
    let now = Now::of(&console, &scrape_id).await?;
    let filter = images::Filter { scrape_id: Some(scrape_id), ..images::Filter::default() };
    let images = images::list(&console.pool, &filter, None, SHOWN).await?.items;
    let layout = Layout::new(format!("Scrape {}", now.scrape.scrape_id), person);
    Ok(Html(ScrapePage { layout, now, images }))
}

/// Sends how far it is, until it is tagged.
pub async fn follow(
    State(console): State<Console>,
    Path(scrape_id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    live::stream(move || {
        let (console, scrape_id) = (console.clone(), scrape_id.clone());
        async move {
            let now = Now::of(&console, &scrape_id).await?;
            let ended = !now.is_unfinished();
            Ok((now, ended))
        }
    })
    .await
}
