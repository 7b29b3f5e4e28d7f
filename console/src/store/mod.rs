//! The questions to the database, one file for each.

pub mod audit;
pub mod cards;
pub mod conflicts;
pub mod fixes;
pub mod history;
pub mod images;
pub mod inventory;
pub mod lookup;
pub mod model_sets;
pub mod outbox;
pub mod pictures;
pub mod scrapes;
pub mod sessions;
pub mod source;
pub mod story;
pub mod tokens;
pub mod turns;
pub mod version;

/// For statements of a transaction that find rows by their keys and do nothing else: each is planned once for a
/// connection. With a partition for each day, planning takes longer than reading; and a plan that was made when a table
/// was small must not read all of a large one.
const BY_KEYS: &str = "
    SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off; SET LOCAL jit = off";

/// SQL for the fixes that the tags of a row `i` of a scrape `s` have. A worker of before merged them without noting them;
/// `base` says of which rows.
const FIX_OF_ROW: &str =
    "coalesce(i.fix, CASE WHEN i.base IS NOT NULL THEN fixes_for(i.image_id, s.advertiser_id) END, '{}')";

/// SQL for whether there are any: the rows of the index `scrape_images_fixed`.
const IS_FIXED: &str = "coalesce(i.fix <> '{}', i.base IS NOT NULL)";

/// SQL for when the models looked at another picture that is at the address of a row `i` since: its tags are those of the
/// one before. `t` is what its model set says of the image now.
const REPLACED_AT: &str = "
    CASE WHEN t.tagged_at > i.recorded_at AND i.outcome IN ('inferred', 'cached', 'matched')
          AND t.tags || coalesce(i.configured, '{}') <> coalesce(i.base, i.tags) THEN t.tagged_at END";
