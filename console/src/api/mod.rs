//! The HTTP API: one file for each noun, and here the list of what is answered.

pub mod audit;
pub mod classify;
pub mod conflicts;
pub mod dead;
pub mod document;
pub mod feed;
pub mod fixes;
pub mod images;
pub mod model_sets;
pub mod scrapes;

use utoipa_axum::routes;

use crate::auth::Right;
use crate::routes::Routes;

pub use document::document;

/// Adds the API to the list: a new route is a handler in its file, and a line here.
pub fn routes(list: Routes) -> Routes {
    list.open_api(routes!(document::openapi))
        .api(Right::Read, routes!(images::list))
        .api(Right::Read, routes!(images::lookup))
        .api(Right::Read, routes!(images::show))
        .api_that_notes(Right::Fix, routes!(fixes::create))
        .api_that_notes(Right::Fix, routes!(fixes::withdraw))
        .api_that_notes(Right::Fix, routes!(fixes::bulk))
        .api_that_notes(Right::Fix, routes!(fixes::undo))
        .api_that_notes(Right::Fix, routes!(fixes::revert))
        .api(Right::Read, routes!(feed::feed))
        .api(Right::Read, routes!(conflicts::list))
        .api(Right::Read, routes!(scrapes::list))
        .api(Right::Submit, routes!(scrapes::submit))
        .api(Right::Read, routes!(scrapes::show))
        .api(Right::Operate, routes!(scrapes::rerun))
        .api(Right::Operate, routes!(scrapes::retag))
        .api(Right::Classify, routes!(classify::classify))
        .api(Right::Operate, routes!(dead::groups))
        .api(Right::Operate, routes!(dead::list))
        .api(Right::Operate, routes!(dead::show))
        .api(Right::Operate, routes!(dead::redrive))
        .api(Right::Operate, routes!(dead::discard))
        .api(Right::Read, routes!(model_sets::list))
        .api(Right::Operate, routes!(audit::list))
}
