//! The pages: one file for each, with its template in `templates/`, and here the list.

pub mod assets;
pub mod layout;
pub mod login;
pub mod scrapes;

use axum::http::Method;
use axum::routing::{get, post};

use crate::auth::Right;
use crate::routes::Routes;

pub use layout::{Html, Layout};

/// Adds the pages to the list: a new one is a file here, a template, and a line.
pub fn routes(list: Routes) -> Routes {
    list.open_page(Method::GET, "/assets/{name}", get(assets::asset))
        .open_page(Method::GET, "/login", get(login::begin))
        .open_page(Method::GET, "/login/callback", get(login::end))
        .page(Right::Read, Method::POST, "/logout", post(login::leave))
        .page(Right::Read, Method::GET, "/", get(scrapes::home))
        .page(Right::Read, Method::GET, "/scrapes", get(scrapes::list))
}
