//! Hashing what is a hash already.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps whose keys are [`ImageId`](tagfleet_shared::ids::ImageId) or
/// [`BytesHash`](tagfleet_shared::ids::BytesHash).
pub type BuildAlreadyHashed = BuildHasherDefault<AlreadyHashed>;

/// Takes the first eight bytes of the key as they are.
///
/// Of a cryptographic hash they are as good as any other eight, and cost as much
/// to choose. What else is hashed with a key, as moka does with the types of those
/// who wait, is mixed in.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        if let Some((first, _)) = bytes.split_first_chunk() {
            self.0 = self.0.rotate_left(23) ^ u64::from_le_bytes(*first);
        }
    }

    /// The length of the array, which comes before its bytes.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;
    use tagfleet_shared::ids::{BytesHash, ImageId};

    #[test]
    fn the_first_eight_bytes_are_the_hash() {
        let id = ImageId::of(Some("key"), "");
        let first = u64::from_le_bytes(id.0.as_bytes()[..8].try_into().unwrap());

        assert_eq!(BuildAlreadyHashed::default().hash_one(id), first);
        assert_eq!(BuildAlreadyHashed::default().hash_one(BytesHash(id.0)), first);
    }

    /// moka keeps those who wait for an image in a map of its own, by key and type.
    #[test]
    fn keys_with_something_behind_them_are_told_apart() {
        let with_type = |key: &str| {
            let key = (ImageId::of(Some(key), ""), std::any::TypeId::of::<String>());
            BuildAlreadyHashed::default().hash_one(key)
        };

        assert_ne!(with_type("one"), with_type("another"));
    }
}
