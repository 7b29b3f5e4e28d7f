//! The pages: one file for each, with its template in `templates/`, and here the list.

pub mod assets;
pub mod conflicts;
pub mod dead;
pub mod filter;
pub mod grid;
pub mod keys;
pub mod layout;
pub mod live;
pub mod login;
pub mod model_sets;
pub mod picture;
pub mod problem;
pub mod scrape;
pub mod scrapes;
pub mod thumbnails;

use axum::http::Method;
use axum::routing::{get, post};

use crate::auth::Right;
use crate::routes::Routes;

pub use layout::{Html, Layout};

/// Adds the pages to the list: a new one is a file here, a template, and a line. Where a path names what a pipeline
/// has named, no other path stands beside it: a scrape may be called `live`.
pub fn routes(list: Routes) -> Routes {
    list.open_page(Method::GET, "/assets/{version}/{name}", get(assets::asset))
        .open_page(Method::GET, "/login", get(login::begin))
        .open_page(Method::GET, "/login/callback", get(login::end))
        .open_page(Method::GET, "/left", get(login::left))
        .page(Right::Read, Method::POST, "/logout", post(login::leave))
        .page(Right::Read, Method::GET, "/", get(grid::home))
        .page(Right::Read, Method::GET, "/images", get(grid::grid))
        .page(Right::Read, Method::GET, "/images/more", get(grid::more))
        .page(Right::Read, Method::GET, "/images/cards", get(grid::cards))
        .page(Right::Read, Method::GET, "/images/{image_id}", get(picture::picture))
        .page(Right::Read, Method::GET, "/conflicts", get(conflicts::conflicts))
        .page(Right::Operate, Method::GET, "/dead-letters", get(dead::letters))
        .page(Right::Operate, Method::GET, "/dead-letters/{id}", get(dead::letter))
        .page(Right::Read, Method::GET, "/model-sets", get(model_sets::model_sets))
        .page(Right::Read, Method::GET, "/scrapes", get(scrapes::list))
        .page(Right::Read, Method::GET, "/scrapes/{scrape_id}", get(scrape::scrape))
        .page(Right::Read, Method::GET, "/live/scrapes", get(scrapes::follow))
        .page(Right::Read, Method::GET, "/live/scrapes/{scrape_id}", get(scrape::follow))
        .page(Right::Read, Method::GET, "/thumbnails/{image_id}", get(thumbnails::thumbnail))
}
