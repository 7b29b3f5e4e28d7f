//! The fast, scaled decode against a full one: do the models say the same?

use bytes::Bytes;
use tagfleet_worker::files;
use tokio::task::block_in_place;

use super::results::{Mark, Row};
use super::{Bench, progress};
use crate::agreement::{Agreement, compare};
use crate::draw::any_picture;

/// The seed of the pictures: others than those that the default set was trained on.
const SEED: u64 = 20_261;

/// Drawn pictures in the sizes that marketplaces see, and those in a folder where one is given.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let count = bench.images;
    progress(&format!("decode agreement: drawing and comparing {count} pictures"));
    let drawn = |number| Some(any_picture(SEED, number as u64, None).bytes);
    let mut rows =
        vec![row("same top-1, scaled and full decode", &block_in_place(|| compare(count, drawn))?)];
    if let Some(folder) = &bench.pictures {
        let paths = files::below(folder);
        progress(&format!("decode agreement: comparing {} files in {}", paths.len(), folder.display()));
        let file = |number: usize| std::fs::read(&paths[number]).ok().map(Bytes::from);
        let agreement = block_in_place(|| compare(paths.len(), file))?;
        anyhow::ensure!(agreement.pictures > 0, "no JPEG in {}", folder.display());
        rows.push(row("the same, pictures of the folder", &agreement));
    }
    Ok(rows)
}

fn row(name: &'static str, agreement: &Agreement) -> Row {
    progress(&format!(
        "decode agreement: {} of {} JPEGs; scores of these differ by {} at most",
        agreement.agree, agreement.pictures, agreement.largest_difference
    ));
    let mut row = Row::new(12, name, "%").mark(Mark::AtLeast(99.5));
    row.reached(agreement.percent());
    row
}
