//! `/scrapes`: the list of scrapes, which follows how far each is.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;

use super::{Html, Layout, live};
use crate::auth::Person;
use crate::state::Console;
use crate::store::scrapes::{self, Filter, Scrape};
use crate::web::{Cursor, Listing, Params, Problem};

/// The list of scrapes.
#[derive(Template)]
#[template(path = "scrapes.html")]
struct ScrapesPage {
    layout: Layout,
    rows: Rows,
    wanted: Wanted,
}

/// Its rows, as they are now.
#[derive(Template)]
#[template(path = "scrape_rows.html")]
struct Rows {
    scrapes: Listing<Scrape>,
}

/// Which scrapes to show.
#[derive(Clone, Debug, Deserialize)]
pub struct Wanted {
    advertiser: Option<String>,
    state: Option<String>,
    cursor: Option<String>,
}

impl Wanted {
    fn advertiser(&self) -> &str {
        self.advertiser.as_deref().unwrap_or_default()
    }

    fn state(&self) -> &str {
        self.state.as_deref().unwrap_or_default()
    }

    fn cursor(&self) -> &str {
        self.cursor.as_deref().unwrap_or_default()
    }

    async fn rows(&self, console: &Console) -> Result<Rows, Problem> {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let filter = Filter { advertiser: said(&self.advertiser), state: said(&self.state) };
        let cursor = Cursor { cursor: said(&self.cursor), limit: None };
        let stuck_after = console.config.scrapes.stuck_after;
        let scrapes =
            scrapes::list(&console.pool, &filter, cursor.place()?, cursor.limit()?, stuck_after).await?;
        Ok(Rows { scrapes })
    }
}

/// Shows the list.
pub async fn list(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
    person: Person,
) -> Result<impl IntoResponse, Problem> {
    let rows = wanted.rows(&console).await?;
    Ok(Html(ScrapesPage { layout: Layout::new("Scrapes", person), rows, wanted }))
}

/// Sends its rows whenever they change.
pub async fn follow(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
) -> Result<impl IntoResponse, Problem> {
    live::stream(move || {
        let (console, wanted) = (console.clone(), wanted.clone());
        async move { Ok((wanted.rows(&console).await?, false)) }
    })
    .await
}
