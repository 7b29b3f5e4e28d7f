//! `/v1/fixes`: every correction, for training data and whoever keeps a copy.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use deadpool_postgres::Pool;
use futures::stream;
use jiff::Timestamp;
use serde::Deserialize;
use tagfleet_shared::db::DbError;
use utoipa::IntoParams;

use crate::state::Console;
use crate::store::history::{self, Correction, Since};
use crate::web::{Kind, Params, Problem};

/// Entries of one look into the database.
const PIECE: i64 = 1000;

/// From where on, and in which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// After the entry with this id, or from this time on (RFC 3339); from the first where absent.
    since: Option<String>,
    /// `ndjson` or `csv`; what `Accept` says where absent, and NDJSON where that says nothing.
    #[param(inline)]
    format: Option<Format>,
}

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    Ndjson,
    Csv,
}

/// Every correction since then, in the order of their ids: one a line
///
/// All entries before one that is told have been told: the id of the last line is the next `since`.
#[utoipa::path(get, path = "/v1/fixes", params(Wanted), tag = "fixes",
    responses((status = 200, description = "one correction a line",
               content((String = "application/x-ndjson"), (String = "text/csv")))))]
pub async fn feed(
    State(console): State<Console>,
    Params(wanted): Params<Wanted>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let since = wanted.since.as_deref().map_or(Ok(Since::Entry(0)), since)?;
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format =
        wanted.format.unwrap_or(if accepts.contains("text/csv") { Format::Csv } else { Format::Ndjson });
    // In this order: behind the horizon all entries up to it can be seen, so none of them is taken for one of before.
    let horizon = history::horizon(&console.pool).await?;
    let after = history::before(&console.pool, since).await?;
    let (kind, head) = match format {
        Format::Ndjson => ("application/x-ndjson", Bytes::new()),
        Format::Csv => ("text/csv; charset=utf-8", csv(&[], true)),
    };
    let lines = lines(console.pool, after, horizon, format);
    let body = Body::from_stream(stream::StreamExt::chain(stream::iter([Ok(head)]), lines));
    Ok(([(header::CONTENT_TYPE, kind)], body))
}

fn since(text: &str) -> Result<Since, Problem> {
    if let Ok(id) = text.parse() {
        return Ok(Since::Entry(id));
    }
    let wrong = |_| {
        Problem::new(
            Kind::BadRequest,
            "since is neither the id of an entry nor a time like 2026-11-21T09:00:00Z",
        )
    };
    text.parse::<Timestamp>().map(Since::Time).map_err(wrong)
}

/// Piece by piece, each as the receiver takes the one before.
fn lines(
    pool: Pool,
    after: i64,
    horizon: i64,
    format: Format,
) -> impl futures::Stream<Item = Result<Bytes, DbError>> {
    stream::try_unfold(after, move |after| {
        let pool = pool.clone();
        async move {
            let entries = history::piece(&pool, after, horizon, PIECE).await?;
            let Some(last) = entries.last() else { return Ok(None) };
            let last = last.id;
            let bytes = match format {
                Format::Ndjson => ndjson(&entries),
                Format::Csv => csv(&entries, false),
            };
            Ok(Some((bytes, last)))
        }
    })
}

fn ndjson(entries: &[Correction]) -> Bytes {
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry).expect("an entry is text and numbers");
        text.push(b'\n');
    }
    text.into()
}

/// Null is an empty cell, as `action` tells it from a value; of `machine` only NDJSON tells null from nothing.
fn csv(entries: &[Correction], head: bool) -> Bytes {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    if head {
        let names = [
            "id",
            "image_id",
            "advertiser_id",
            "attribute",
            "action",
            "from",
            "to",
            "by",
            "note",
            "at",
            "url",
            "image_key",
            "machine",
        ];
        writer.write_record(names).expect("memory takes it");
    }
    for entry in entries {
        let text = |text: &Option<String>| text.as_deref().map(tame).unwrap_or_default();
        let record = [
            entry.id.to_string(),
            entry.image_id.to_string(),
            text(&entry.advertiser_id),
            tame(&entry.attribute),
            entry.action.clone(),
            text(&entry.from),
            text(&entry.to),
            tame(&entry.by),
            text(&entry.note),
            entry.at.to_string(),
            text(&entry.url),
            text(&entry.image_key),
            text(&entry.machine.clone().flatten()),
        ];
        writer.write_record(record).expect("memory takes it");
    }
    writer.into_inner().expect("memory takes it").into()
}

/// A spreadsheet takes a cell that begins like this for a formula, and the text is a stranger's.
fn tame(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_begins_after_an_entry_or_at_a_time() {
        assert_eq!(since("17").unwrap(), Since::Entry(17));
        assert_eq!(since("1970-01-01T00:00:00Z").unwrap(), Since::Time(Timestamp::UNIX_EPOCH));
        assert_eq!(since("yesterday").unwrap_err().kind(), Kind::BadRequest);
    }

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(tame("=HYPERLINK(\"http://evil.test\")"), "'=HYPERLINK(\"http://evil.test\")");
        assert_eq!(tame("red"), "red");
    }
}
