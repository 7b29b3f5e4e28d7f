//! A file: it is decoded within the limits, or refused with one of the known reasons.

use std::sync::LazyLock;

use tagfleet_worker::decode::{DecodeLimits, Decoder, InputSize, Undecodable};

const SIZE: InputSize = InputSize { height: 32, width: 48 };

/// Low, so that there are many files in ten minutes.
const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 250_000, max_memory_bytes: 8 << 20 };

const REASONS: [&str; 7] = [
    "empty",
    "unknown_format",
    "unsupported_format",
    "too_many_pixels",
    "too_much_memory",
    "too_many_scans",
    "undecodable",
];

static DECODER: LazyLock<Decoder> = LazyLock::new(|| Decoder::new(vec![SIZE], LIMITS));

/// Decodes it, after all files before it: it is what it is alone.
pub fn check(file: &[u8]) {
    let decoded = DECODER.decode(file);
    let alone = Decoder::new(vec![SIZE], LIMITS).decode(file);
    assert!(decoded.as_ref().ok() == alone.as_ref().ok(), "another picture after others than alone");
    match decoded {
        Ok(pixels) => {
            assert_eq!(pixels.plane(SIZE).map(<[u8]>::len), Some(3 * 32 * 48));
            assert!(u64::from(pixels.width()) * u64::from(pixels.height()) <= LIMITS.max_pixels);
        }
        Err(error) => assert!(is_known(&error), "{error}"),
    }
}

/// A panic is caught and has the reason of a damaged file: in the fleet it is one bad picture, here it is what is looked for.
fn is_known(error: &Undecodable) -> bool {
    *error != Undecodable::Panicked && REASONS.contains(&error.reason())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_known_reason() {
        assert!(is_known(&Undecodable::Corrupt("cut off".into())));
        assert!(!is_known(&Undecodable::Panicked));
    }
}
