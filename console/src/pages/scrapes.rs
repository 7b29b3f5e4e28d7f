//! `/scrapes`: the list of scrapes.

use askama::Template;
use axum::extract::State;
use axum::response::Redirect;
use serde::Deserialize;

use super::{Html, Layout};
use crate::auth::Person;
use crate::state::Console;
use crate::store::scrapes::{self, Filter, Scrape};
use crate::web::{Cursor, Listing, Params, Problem};

/// The list of scrapes.
#[derive(Template)]
#[template(path = "scrapes.html")]
pub struct ScrapesPage {
    layout: Layout,
    scrapes: Listing<Scrape>,
    filter: Filter,
}

/// Which scrapes to show.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    advertiser: Option<String>,
    state: Option<String>,
    cursor: Option<String>,
}

/// The first page is the list of scrapes.
pub async fn home() -> Redirect {
    Redirect::to("/scrapes")
}

/// Shows the list.
pub async fn list(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
    person: Person,
) -> Result<Html<ScrapesPage>, Problem> {
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let filter = Filter { advertiser: said(wanted.advertiser), state: said(wanted.state) };
    let cursor = Cursor { cursor: said(wanted.cursor), limit: None };
    let stuck_after = console.config.scrapes.stuck_after;
    let scrapes =
        scrapes::list(&console.pool, &filter, cursor.place()?, cursor.limit()?, stuck_after).await?;
    Ok(Html(ScrapesPage { layout: Layout::new("Scrapes", person), scrapes, filter }))
}
