//! `/images`: the grid of pictures, where people correct many at once.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use tagfleet_shared::model_sets::AttributeValues;

use super::{Html, Layout, keys};
use crate::api;
use crate::auth::Person;
use crate::state::Console;
use crate::store::images::{self, Image};
use crate::store::{cards, model_sets};
use crate::web::{Kind, Listing, Params, Problem};

/// Pictures of the first piece, which somebody waits for.
const FIRST: u32 = 120;
/// Pictures of each that is loaded later, long before it is seen.
const MORE: u32 = 400;
/// Pictures that are drawn anew at once.
const MOST_PLACES: usize = 1000;

/// The first page.
pub async fn home() -> Redirect {
    Redirect::to("/images")
}

/// Which pictures: the fields of the filter as a browser sends them, empty where nothing is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    advertiser: String,
    scrape: String,
    attribute: String,
    value: String,
    score_below: String,
    outcome: String,
    fixed: String,
    text: String,
    cursor: String,
}

impl Wanted {
    /// The same as a query, going on at `cursor`.
    fn query(&self, cursor: &str) -> String {
        let fields = [
            ("advertiser", &*self.advertiser),
            ("scrape", &self.scrape),
            ("attribute", &self.attribute),
            ("value", &self.value),
            ("score_below", &self.score_below),
            ("outcome", &self.outcome),
            ("fixed", &self.fixed),
            ("text", &self.text),
            ("cursor", cursor),
        ];
        let said = fields.into_iter().filter(|(_, text)| !text.is_empty());
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(said).finish()
    }

    fn read(self) -> Result<api::images::Wanted, Problem> {
        let wrong = |field: &str| Problem::new(Kind::BadRequest, format!("{field} cannot be read"));
        let score_below = match &*self.score_below {
            "" => None,
            text => Some(text.parse().map_err(|_| wrong("score below"))?),
        };
        let fixed = match &*self.fixed {
            "" => None,
            text => Some(text.parse().map_err(|_| wrong("fixed"))?),
        };
        Ok(api::images::Wanted {
            scrape: Some(self.scrape),
            advertiser: Some(self.advertiser),
            attribute: Some(self.attribute),
            value: Some(self.value),
            score_below,
            outcome: Some(self.outcome),
            fixed,
            text: Some(self.text),
            limit: Some(if self.cursor.is_empty() { FIRST } else { MORE }),
            cursor: Some(self.cursor),
        })
    }
}

/// The page.
#[derive(Template)]
#[template(path = "grid.html")]
struct GridPage {
    layout: Layout,
    wanted: Wanted,
    attributes: Vec<Attribute>,
    piece: Piece,
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
#[derive(Template)]
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
#[derive(Template)]
#[template(path = "grid_cards.html")]
struct Cards {
    images: Vec<Image>,
}

/// Shows the grid.
pub async fn grid(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
    person: Person,
) -> Result<impl IntoResponse, Problem> {
    let attributes = model_sets::live_attributes(&console.pool).await?;
    let piece = piece(&console, &wanted).await?;
    Ok(Html(GridPage {
        layout: Layout::new("Pictures", person),
        wanted,
        attributes: attributes.into_iter().map(Attribute::from).collect(),
        piece,
    }))
}

/// Goes on at a cursor.
pub async fn more(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Html(piece(&console, &wanted).await?))
}

async fn piece(console: &Console, wanted: &Wanted) -> Result<Piece, Problem> {
    let (filter, cursor) = wanted.clone().read()?.read()?;
    let images = images::list(&console.pool, &filter, cursor.place()?, cursor.limit()?).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_was_said_and_no_more() {
        let wanted =
            Wanted { text: "a b&c".into(), fixed: "true".into(), cursor: "old".into(), ..Wanted::default() };
        assert_eq!(wanted.query("new"), "fixed=true&text=a+b%26c&cursor=new");
        assert_eq!(Wanted::default().query(""), "");
    }

    #[test]
    fn an_empty_field_says_nothing() {
        let (filter, _) = Wanted::default().read().unwrap().read().unwrap();
        assert_eq!(format!("{filter:?}"), format!("{:?}", images::Filter::default()));
        let wanted = Wanted { score_below: "much".into(), ..Wanted::default() };
        assert_eq!(wanted.read().unwrap_err().kind(), Kind::BadRequest);
    }
}
