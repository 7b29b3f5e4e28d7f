//! What came of a scrape, for the person who watches.

use std::collections::BTreeMap;

use tagfleet_shared::outcome::OutcomeKind;
use tokio_postgres::types::Json;

use super::say;
use super::scrape::{Demo, Tagged};
use crate::draw::Inventory;

/// Prints outcomes, tags and times; where the pictures were drawn, also how
/// often the models saw what was drawn.
pub async fn print(demo: &Demo, tagged: &Tagged, truth: Option<&Inventory>) -> anyhow::Result<()> {
    let event = &tagged.event;
    let seconds = tagged.took.as_secs_f64();
    let counted =
        OutcomeKind::ALL.map(|kind| (kind, event.outcomes.get(kind.as_str()).copied().unwrap_or(0)));
    let outcomes = counted.iter().filter(|(_, n)| *n > 0).map(|(kind, n)| format!("{kind} {n}"));
    let outcomes: Vec<String> = outcomes.collect();
    say(&format!("  Outcomes     {}", outcomes.join(", ")));

    let reasons = count(
        demo,
        "SELECT outcome || ': ' || reason, count(*) FROM tagged_images
          WHERE scrape_id = $1 AND reason IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1",
        event.scrape_id.0.as_str(),
    );
    for (reason, n) in reasons.await? {
        say(&format!("               {reason} {n}"));
    }
    let tags = count(
        demo,
        "SELECT key || ' = ' || coalesce(value, 'null'), count(*)
           FROM tagged_images, jsonb_each_text(tags) WHERE scrape_id = $1 GROUP BY key, value ORDER BY key DESC, 2 DESC, 1",
        event.scrape_id.0.as_str(),
    );
    for (n, (tag, images)) in tags.await?.into_iter().enumerate() {
        say(&format!("  {:<12} {tag:<28} {images:>5}", if n == 0 { "Tags" } else { "" }));
    }
    if let Some(inventory) = truth {
        let (right, drawn) = agreement(demo, &event.scrape_id.0, inventory).await?;
        say(&format!("  As drawn     image_type of {right} of {drawn} inferred pictures"));
    }
    let rate = event.images as f64 / seconds;
    say(&format!("  Speed        {rate:.0} images/s, {seconds:.2} s from scrape.finished to scrape.tagged"));
    Ok(())
}

async fn count(demo: &Demo, sql: &str, scrape: &str) -> anyhow::Result<Vec<(String, i64)>> {
    let rows = demo.client.query(sql, &[&scrape]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// How many of the inferred pictures have the `image_type` that was drawn.
async fn agreement(demo: &Demo, scrape: &str, inventory: &Inventory) -> anyhow::Result<(usize, usize)> {
    let sql = "SELECT url, tags FROM tagged_images WHERE scrape_id = $1 AND outcome = 'inferred'";
    let rows = demo.client.query(sql, &[&scrape]).await?;
    let (mut right, mut drawn) = (0, 0);
    for row in rows {
        let url: String = row.get(0);
        let Json(tags): Json<BTreeMap<String, Option<String>>> = row.get(1);
        let Some(truth) = inventory.get(demo.path(&url)).and_then(|entry| entry.truth.as_ref()) else {
            continue;
        };
        drawn += 1;
        let said = tags.get("image_type").cloned().flatten();
        right += usize::from(said.as_deref() == Some(truth.image_type.as_str()));
    }
    Ok((right, drawn))
}
