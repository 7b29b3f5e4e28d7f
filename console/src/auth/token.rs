//! API tokens: for programs, which have no browser to log in with.

use sha2::{Digest, Sha256};

use super::secret;

/// What every token begins with, so that scanners for leaked secrets know one.
const PREFIX: &str = "tagfleet_";

/// A new token: 256 random bits.
pub fn generate() -> String {
    format!("{PREFIX}{}", secret())
}

/// What is kept of a token, or of a cookie. No salt and nothing slow: what has 256 random bits is not
/// found by trying.
pub fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_the_same() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(one.len(), PREFIX.len() + 43);
        assert_ne!(hash(&one), hash(&other));
    }
}
