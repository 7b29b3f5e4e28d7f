//! What all pages have around them.

use askama::Template;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tracing::error;

use super::assets;
use crate::auth::Person;
use crate::auth::Right;
use crate::auth::person::Via;
use crate::web::{Kind, Problem};

/// A place of the menu: its address, its name, the key that follows `g`, and what it takes.
type Place = (&'static str, &'static str, char, Right);

const PLACES: [Place; 5] = [
    ("/images", "Pictures", 'i', Right::Read),
    ("/scrapes", "Scrapes", 's', Right::Read),
    ("/conflicts", "Conflicts", 'c', Right::Read),
    ("/dead-letters", "Dead letters", 'd', Right::Operate),
    ("/model-sets", "Model sets", 'm', Right::Read),
];

/// The frame of a page; `templates/base.html` draws it. A page's template has one as `layout`.
pub struct Layout {
    /// The page's own title.
    pub title: String,
    /// Who looks at it.
    pub person: Person,
}

impl Layout {
    /// The frame of the page `title` for `person`.
    pub fn new(title: impl Into<String>, person: Person) -> Self {
        Self { title: title.into(), person }
    }

    /// What the page's scripts send as `X-CSRF-Token` with every write.
    pub fn csrf(&self) -> &str {
        self.person.csrf().unwrap_or_default()
    }

    /// Whether everybody may do everything, which a banner says.
    pub fn is_insecure(&self) -> bool {
        matches!(self.person.via, Via::Insecure { .. })
    }

    /// Whether they came in by a login, which they can leave.
    pub fn can_leave(&self) -> bool {
        matches!(self.person.via, Via::Session { .. })
    }

    /// Whether buttons that correct tags are of use.
    pub fn may_fix(&self) -> bool {
        self.person.may(Right::Fix)
    }

    /// Whether buttons that run things again are of use.
    pub fn may_operate(&self) -> bool {
        self.person.may(Right::Operate)
    }

    /// The address of an asset, which changes with its content.
    pub fn asset(&self, name: &str) -> String {
        assets::address(name)
    }

    /// The places of the menu that are open to whoever looks at it.
    pub fn places(&self) -> impl Iterator<Item = &'static Place> {
        PLACES.iter().filter(|place| self.person.may(place.3))
    }
}

/// A page that is ready to be sent.
pub struct Html<T>(pub T);

impl<T: Template> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(html) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
            Err(error) => {
                error!(%error, "a page could not be rendered");
                Problem::new(Kind::Unavailable, "the page could not be rendered").into_response()
            }
        }
    }
}
