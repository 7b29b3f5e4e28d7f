//! `/images`: the grid of pictures, where people correct many at once.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use tagfleet_shared::model_sets::AttributeValues;

use super::filter::Wanted;
use super::{Html, Layout, keys};
use crate::api;
use crate::auth::Person;
use crate::state::Console;
use crate::store::images::{self, Image};
use crate::store::{cards, model_sets};
use crate::web::{Kind, Listing, Params, Problem};

/// Pictures that are drawn anew at once.
const MOST_PLACES: usize = 1000;

/// The first page.
pub async fn home() -> Redirect {
    Redirect::to("/images")
}

/// The page.
#[derive(Template)]
#[template(path = "grid.html")]
struct GridPage {
    layout: Layout,
    wanted: Wanted,
    attributes: Vec<Attribute>,
    piece: Piece,
    /// What is wrong with what was asked.
    problem: Option<Problem>,
}

impl GridPage {
    /// Its values, of the attribute that is asked for or of all.
    fn values(&self) -> impl Iterator<Item = &Value> {
        let of = |attribute: &&Attribute| {
            self.wanted.attribute.is_empty() || self.wanted.attribute == attribute.name
        };
        self.attributes.iter().filter(of).flat_map(|attribute| &attribute.values)
    }
}

/// One attribute that can be corrected.
struct Attribute {
    name: String,
    values: Vec<Value>,
}

/// One value, and the key that gives it.
struct Value {
    /// None: null.
    value: Option<String>,
    key: Option<String>,
}

impl Value {
    fn text(&self) -> &str {
        self.value.as_deref().unwrap_or("null")
    }

    fn json(&self) -> String {
        serde_json::json!(self.value).to_string()
    }
}

impl From<AttributeValues> for Attribute {
    fn from(attribute: AttributeValues) -> Self {
        let values = attribute.menu(None);
        let texts: Vec<&str> = values.iter().map(|value| value.as_deref().unwrap_or("null")).collect();
        let keys = keys::of_values(&texts);
        let values = values.iter().cloned().zip(keys).map(|(value, key)| Value { value, key });
        Self { name: attribute.name, values: values.collect() }
    }
}

/// A piece of the grid, and where the next begins.
#[derive(Default, Template)]
#[template(path = "grid_piece.html")]
struct Piece {
    cards: Cards,
    next: Option<String>,
}

impl Piece {
    fn new(images: Listing<Image>, wanted: &Wanted) -> Self {
        Self { next: images.next.map(|next| wanted.query(&next)), cards: Cards { images: images.items } }
    }
}

/// Some pictures.
#[derive(Default, Template)]
#[template(path = "grid_cards.html")]
struct Cards {
    images: Vec<Image>,
}

/// Shows the grid; where the filter cannot be read, the form as it was filled in, and why.
pub async fn grid(
    State(console): State<Console>,
    Params(mut wanted): Params<Wanted>,
    person: Person,
) -> Result<impl IntoResponse, Problem> {
    let attributes = model_sets::live_attributes(&console.pool).await?;
    wanted.complete(&attributes);
    let (status, piece, problem) = match piece(&console, &wanted).await {
        Ok(piece) => (StatusCode::OK, piece, None),
        Err(problem) if matches!(problem.kind(), Kind::BadRequest | Kind::Unprocessable) => {
            (problem.kind().status(), Piece::default(), Some(problem))
        }
        Err(problem) => return Err(problem),
    };
    let attributes = attributes.into_iter().map(Attribute::from).collect();
    let layout = Layout::new("Pictures", person);
    Ok((status, Html(GridPage { layout, wanted, attributes, piece, problem })))
}

/// Goes on at a cursor.
pub async fn more(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Html(piece(&console, &wanted).await?))
}

async fn piece(console: &Console, wanted: &Wanted) -> Result<Piece, Problem> {
    let (filter, cursor) = wanted.clone().read()?;
    let images = api::images::piece(console, &filter, &cursor).await?;
    Ok(Piece::new(images, wanted))
}

/// Pictures by their places in the grid: `scrape.seq,scrape.seq,…`.
#[derive(Debug, Deserialize)]
pub struct Places {
    places: String,
}

/// Draws some pictures anew, after a correction.
pub async fn cards(
    State(console): State<Console>,
    Params(wanted): Params<Places>,
) -> Result<impl IntoResponse, Problem> {
    let place = |text: &str| {
        let (scrape, seq) = text.split_once('.')?;
        Some(images::Place(scrape.parse().ok()?, seq.parse().ok()?))
    };
    let places: Option<Vec<_>> = wanted.places.split(',').map(place).collect();
    let places = places.filter(|places| places.len() <= MOST_PLACES);
    let wrong = || Problem::new(Kind::BadRequest, format!("places are up to {MOST_PLACES} of the grid's"));
    let images = cards::at(&console.pool, &places.ok_or_else(wrong)?).await?;
    Ok(Html(Cards { images }))
}
