//! Styles and scripts: they are in the binary.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::web::{Path, Problem};

/// Name, type and content: a new one is a line.
const ASSETS: [(&str, &str, &str); 1] =
    [("console.css", "text/css; charset=utf-8", include_str!("../../assets/console.css"))];

/// Where a page finds an asset. Another content has another address, so browsers may keep it.
pub fn address(name: &str) -> String {
    let content = ASSETS.iter().find(|asset| asset.0 == name).map(|asset| asset.2).unwrap_or_default();
    format!("/assets/{name}?{}", &blake3::hash(content.as_bytes()).to_hex()[..16])
}

/// One of them.
pub async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.0 == name);
    let (_, kind, content) = asset.ok_or_else(|| Problem::not_found(format_args!("asset {name}")))?;
    let headers =
        [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, *content).into_response())
}
