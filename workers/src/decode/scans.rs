//! How often a decoder has to go through a JPEG.

use std::io::BufRead;

use super::{DecodeLimits, Undecodable};

/// Scans of one JPEG. Real ones have about ten.
pub(super) const LIMIT: u32 = 100;

/// Scans of a JPEG of the largest size allowed; a smaller one may have more.
const LIMIT_AT_LARGEST: u64 = 16;

/// Refuses a progressive JPEG that would take long. Every scan is a pass over
/// the whole picture, even an empty one: a file of half a MiB could take minutes.
pub(super) fn check(
    bytes: &[u8],
    (width, height): (u32, u32),
    limits: &DecodeLimits,
) -> Result<(), Undecodable> {
    let work = |scans: u32| u64::from(scans) * u64::from(width) * u64::from(height);
    let allowed = LIMIT_AT_LARGEST.saturating_mul(limits.max_pixels);
    let scans = count(bytes);
    if scans > LIMIT || work(scans) > allowed { Err(Undecodable::TooManyScans { scans }) } else { Ok(()) }
}

/// Whether the picture comes in scans that are put together at their end.
pub(super) fn is_progressive(bytes: &[u8]) -> bool {
    let mut progressive = false;
    walk(bytes, |marker| progressive |= marker == 0xc2);
    progressive
}

/// The scans up to the end of the picture.
fn count(bytes: &[u8]) -> u32 {
    let mut scans = 0;
    walk(bytes, |marker| scans += u32::from(marker == 0xda));
    scans
}

/// Goes from segment to segment up to the end of the picture. After that there
/// may be anything: a phone's film, another picture.
fn walk(mut rest: &[u8], mut meet: impl FnMut(u8)) {
    // In picture data an 0xff is followed by 0 or the number of a restart.
    while rest.skip_until(0xff).is_ok_and(|skipped| skipped > 0) {
        match rest {
            [0xd9, ..] | [] => break,
            [0x00 | 0x01 | 0xd0..=0xd8 | 0xff, ..] => {}
            [marker, high, low, ..] => {
                meet(*marker);
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(1 + length..).unwrap_or_default();
            }
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_progressive_picture_is_told_by_its_frame() {
        let with_frame = |marker: u8| [b"\xff\xd8\xff", &[marker][..], b"\0\x02", SCAN].concat();

        assert!(is_progressive(&with_frame(0xc2)));
        assert!(!is_progressive(&with_frame(0xc0)));
        assert!(!is_progressive(b"\xff\xd8\xff\xe1\0\x06\xff\xc2\0\x02"));
    }

    const SCAN: &[u8] = b"\xff\xda\0\x02data\xff\0data\xff\xd0data";

    #[test]
    fn only_the_scans_of_the_picture_count() {
        let thumbnail = b"\xff\xe1\0\x08\xff\xda\0\x02\0\0";
        let picture = [b"\xff\xd8", &thumbnail[..], SCAN, b"\xff\xff", SCAN, SCAN].concat();
        let with_film = [&picture[..], b"\xff\xd9", SCAN, SCAN].concat();

        assert_eq!((count(&picture), count(&with_film)), (3, 3));
        for cut in 0..picture.len() {
            assert!(count(&picture[..cut]) <= 3);
        }
    }

    #[test]
    fn the_larger_the_picture_the_fewer_scans_it_may_have() {
        let limits = DecodeLimits { max_pixels: 10_000, max_memory_bytes: 1 << 20 };
        let reason = |scans: usize, side| {
            check(&SCAN.repeat(scans), (side, side), &limits).map_err(|error| error.reason()).err()
        };
        assert_eq!(reason(16, 100), None);
        assert_eq!(reason(17, 100), Some("too_many_scans"));
        assert_eq!(reason(100, 10), None);
        assert_eq!(reason(101, 10), Some("too_many_scans"));
    }
}
