//! Where did a value come from?

use serde::Serialize;
use utoipa::ToSchema;

use super::story::{Fix, Listed, Said};

/// The models looked, and the attribute is not about such a picture: another attribute decides that first.
const NOT_APPLICABLE: &str = "not_applicable";
/// The models looked, and their best guess was less likely than the model set asks for.
const UNSURE: &str = "unsure";

/// The current value of one attribute for one advertiser.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TagValue {
    /// For whom.
    pub advertiser_id: String,
    /// The attribute.
    pub attribute: String,
    /// Its value.
    pub value: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// Why it is the default, if it is: the reason of the outcome (`decode`, `superseded`, …), or, where the models
    /// looked at the picture, `not_applicable` (the attribute is not about such a picture) or `unsure` (`score` is
    /// too low).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// How sure the models were, 0 to 1, where the value is theirs, or nothing because they were `unsure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub score: Option<f32>,
}

/// Where a value came from, highest precedence first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A person, for this advertiser.
    Fix,
    /// A person, for everyone.
    FixForEveryone,
    /// The scrape itself.
    Configured,
    /// The models looked at it for this scrape.
    Model,
    /// The models looked at it before.
    Cached,
    /// The models looked at the same bytes under another name.
    MatchedBytes,
    /// Nobody could say anything.
    Default,
}

/// The values of one row, each with where it came from.
pub(super) fn values(row: &Listed, fixes: &[Fix], said: &[Said]) -> Vec<TagValue> {
    let said =
        said.iter().find(|said| Some(&said.digest) == row.model_set.as_ref() && row.replaced_at.is_none());
    let value = |(attribute, value): (&String, &Option<String>)| {
        let (source, reason) = source(row, attribute, fixes, said);
        TagValue {
            advertiser_id: row.advertiser_id.clone(),
            attribute: attribute.clone(),
            value: value.clone(),
            source,
            reason,
            score: said.filter(|_| is_machines(source)).and_then(|said| said.scores.get(attribute)).copied(),
        }
    };
    row.tags.0.iter().map(value).collect()
}

/// Whether no person and no scrape has said it.
fn is_machines(source: Source) -> bool {
    !matches!(source, Source::Fix | Source::FixForEveryone | Source::Configured)
}

/// Precedence, as the statements that merge tags have it; the reason of a default.
fn source(row: &Listed, attribute: &str, fixes: &[Fix], said: Option<&Said>) -> (Source, Option<String>) {
    if row.fix.0.contains_key(attribute) {
        let own =
            |fix: &Fix| fix.attribute == attribute && fix.advertiser_id.as_ref() == Some(&row.advertiser_id);
        return (if fixes.iter().any(own) { Source::Fix } else { Source::FixForEveryone }, None);
    }
    if row.configured.0.contains_key(attribute) {
        return (Source::Configured, None);
    }
    let model = match row.outcome.as_deref() {
        Some("cached") => Source::Cached,
        Some("matched") => Source::MatchedBytes,
        Some("inferred") => Source::Model,
        _ => return (Source::Default, row.reason.clone()),
    };
    match said.filter(|_| row.tags.get(attribute).is_none()).and_then(|said| silent(said, attribute)) {
        Some(reason) => (Source::Default, Some(reason.into())),
        None => (model, None),
    }
}

/// Why a model set that looked said nothing of an attribute; none where it did say something. A score without a value
/// says that they were unsure (`tagfleet_shared::tags::Scores`).
fn silent(said: &Said, attribute: &str) -> Option<&'static str> {
    if said.tags.get(attribute)?.is_some() {
        return None;
    }
    Some(if said.scores.contains_key(attribute) { UNSURE } else { NOT_APPLICABLE })
}
