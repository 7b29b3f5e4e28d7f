//! Styles and scripts: they are in the binary.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::web::{Path, Problem};

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type and content: a new one is a line.
const ASSETS: [(&str, &str, &str); 16] = [
    ("console.css", CSS, include_str!("../../assets/console.css")),
    ("grid.css", CSS, include_str!("../../assets/grid.css")),
    ("icon.svg", SVG, include_str!("../../assets/icon.svg")),
    ("theme.js", JS, include_str!("../../assets/theme.js")),
    ("page.js", JS, include_str!("../../assets/page.js")),
    ("keys.js", JS, include_str!("../../assets/keys.js")),
    ("ask.js", JS, include_str!("../../assets/ask.js")),
    ("corrections.js", JS, include_str!("../../assets/corrections.js")),
    ("cards.js", JS, include_str!("../../assets/cards.js")),
    ("grid.js", JS, include_str!("../../assets/grid.js")),
    ("selection.js", JS, include_str!("../../assets/selection.js")),
    ("leaving.js", JS, include_str!("../../assets/leaving.js")),
    ("turns.js", JS, include_str!("../../assets/turns.js")),
    ("picture.js", JS, include_str!("../../assets/picture.js")),
    ("again.js", JS, include_str!("../../assets/again.js")),
    ("live.js", JS, include_str!("../../assets/live.js")),
];

/// Changes with the content of any of them. It is a folder of their addresses, so scripts find each other
/// by relative names, and browsers may keep what they have got.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = blake3::Hasher::new();
    for (name, _, content) in ASSETS {
        hash.update(name.as_bytes()).update(content.as_bytes());
    }
    hash.finalize().to_hex()[..16].to_owned()
});

/// Where a page finds an asset.
pub fn address(name: &str) -> String {
    debug_assert!(ASSETS.iter().any(|asset| asset.0 == name), "{name} is an asset");
    format!("/assets/{}/{name}", *VERSION)
}

/// One of them. A page of another version, in the moments of a deployment, is given what there is, and
/// keeps it for that once.
pub async fn asset(Path((version, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.0 == name);
    let (_, kind, content) = asset.ok_or_else(|| Problem::not_found(format_args!("asset {name}")))?;
    let keep = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-store" };
    Ok(([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, keep)], *content).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They are compiled in one by one: a file that nobody listed would be missing for browsers only.
    #[test]
    fn every_file_of_the_folder_is_in_the_binary() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_file() {
                assert!(ASSETS.iter().any(|asset| asset.0 == name), "{name} is not in ASSETS");
            }
        }
    }

    #[tokio::test]
    async fn an_asset_of_this_version_is_kept_and_any_other_is_not() {
        let keep = async |version: &str| {
            let response = asset(Path((version.into(), "page.js".into()))).await.unwrap();
            response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        assert!(keep(&VERSION).await.contains("immutable"));
        assert_eq!(keep("0000000000000000").await, "no-store");
    }
}
