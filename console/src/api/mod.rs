//! The HTTP API: one file for each noun, and here the list of what is answered.

pub mod document;
pub mod scrapes;

use utoipa_axum::routes;

use crate::auth::Right;
use crate::routes::Routes;

pub use document::document;

/// Adds the API to the list: a new route is a handler in its file, and a line here.
pub fn routes(list: Routes) -> Routes {
    list.open_api(routes!(document::openapi))
        .api(Right::Read, routes!(scrapes::list))
        .api(Right::Read, routes!(scrapes::show))
}
