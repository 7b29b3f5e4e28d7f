//! The first tier: in this process, by the bytes that it takes.

use std::hash::Hash;
use std::sync::Arc;

use moka::future::Cache;
use tagfleet_shared::jobs::MEMORY_LASTS;

use crate::hashed::BuildAlreadyHashed;
use crate::outcome::Known;

/// The first tier by one kind of key.
pub(super) type Tier1<K> = Cache<K, Arc<Known>, BuildAlreadyHashed>;

/// An empty one of at most so many bytes.
pub(super) fn tier1<K: Hash + Eq + Send + Sync + 'static>(max_bytes: u64) -> Tier1<K> {
    let weigher = |_: &K, known: &Arc<Known>| weight(known);
    Cache::builder()
        .time_to_live(MEMORY_LASTS)
        .max_capacity(max_bytes)
        .weigher(weigher)
        .build_with_hasher(BuildAlreadyHashed::default())
}

/// Bytes on the heap, roughly: names, values, the embedding, tree nodes, and moka's
/// own entry.
fn weight(known: &Arc<Known>) -> u32 {
    let tags = known.answer.tags.0.iter();
    let text: usize = tags.map(|(name, value)| 2 * name.len() + value.as_ref().map_or(0, String::len)).sum();
    let embedding = known.answer.embedding.as_ref().map_or(0, |embedding| embedding.bytes().len());
    let validators = known.last_look.as_ref().map_or(0, |last_look| last_look.validators.weight());
    let bytes = text + embedding + validators + 900;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Embedding};
    use tagfleet_shared::ids::BytesHash;
    use uuid::Uuid;

    fn known(embedding: Option<Embedding>) -> Arc<Known> {
        let answer = Answer { embedding, ..Answer::default() };
        Arc::new(Known { answer, bytes: BytesHash(Uuid::nil()), width: 1, height: 1, last_look: None })
    }

    #[test]
    fn an_embedding_counts_with_its_bytes() {
        let numbers = Embedding::of_f32(&[0.5; 1280]);
        assert!(numbers.is_some());
        assert_eq!(weight(&known(numbers)), weight(&known(None)) + 2560);
    }
}
