//! What it costs to decode a JPEG, told from its markers before anything is decoded.

use std::io::BufRead;

/// Scans of one JPEG. Real ones have about ten.
pub const MOST_SCANS: u32 = 100;

/// Scans of a JPEG of the largest size allowed; a smaller one may have more.
const MOST_AT_LARGEST: u64 = 16;

/// A frame that comes in scans which are put together at their end.
const PROGRESSIVE: u8 = 0xc2;
/// Where a scan starts.
const SCAN: u8 = 0xda;

/// The scans of a JPEG that has more than may be decoded, where pictures of `max_pixels` may be.
///
/// Every scan is a pass over the whole picture, even an empty one: a file of half a MiB could take minutes.
pub fn too_many_scans(bytes: &[u8], (width, height): (u32, u32), max_pixels: u64) -> Option<u32> {
    let work = |scans: u32| u64::from(scans) * u64::from(width) * u64::from(height);
    let allowed = MOST_AT_LARGEST.saturating_mul(max_pixels);
    let scans = scans(bytes);
    (scans > MOST_SCANS || work(scans) > allowed).then_some(scans)
}

/// Whether the picture comes in scans that are put together at their end.
pub fn is_progressive(bytes: &[u8]) -> bool {
    let mut progressive = false;
    walk(bytes, |marker, _| progressive |= marker == PROGRESSIVE);
    progressive
}

/// Bytes of the coefficients that are kept until the last scan: two for each, as the channels are sampled. None of a
/// picture that does not come in such scans.
pub fn coefficient_bytes(bytes: &[u8]) -> u64 {
    let mut most = 0;
    walk(bytes, |marker, frame| {
        if marker == PROGRESSIVE {
            most = most.max(coefficients(frame).unwrap_or(0));
        }
    });
    2 * most
}

/// Of a frame: a byte for the depth, two for each side, one for how many channels there are, and three for each of
/// these, whose second has how often it is sampled across and down.
fn coefficients(frame: &[u8]) -> Option<u64> {
    let (&[_, h1, h0, w1, w0, _], channels) = frame.split_first_chunk()?;
    let (width, height) = (u64::from(u16::from_be_bytes([w1, w0])), u64::from(u16::from_be_bytes([h1, h0])));
    let samples =
        channels.chunks_exact(3).map(|channel| (u64::from(channel[1] >> 4), u64::from(channel[1] & 15)));
    let (across, down) = samples.clone().fold((1, 1), |(x, y), (h, v)| (h.max(x), v.max(y)));
    // Blocks of 8 by 8 samples, whole groups of which make the picture.
    let groups = width.div_ceil(8 * across) * height.div_ceil(8 * down);
    Some(samples.map(|(h, v)| groups * h * v * 64).sum())
}

/// The scans up to the end of the picture.
fn scans(bytes: &[u8]) -> u32 {
    let mut scans = 0;
    walk(bytes, |marker, _| scans += u32::from(marker == SCAN));
    scans
}

/// Goes from segment to segment, with what each holds, up to the end of the picture. After that there may be anything:
/// a phone's film, another picture.
fn walk(mut rest: &[u8], mut meet: impl FnMut(u8, &[u8])) {
    // In picture data an 0xff is followed by 0 or the number of a restart.
    while rest.skip_until(0xff).is_ok_and(|skipped| skipped > 0) {
        match rest {
            [0xd9, ..] | [] => break,
            [0x00 | 0x01 | 0xd0..=0xd8 | 0xff, ..] => {}
            [marker, high, low, ..] => {
                let end = 1 + usize::from(u16::from_be_bytes([*high, *low]));
                meet(*marker, rest.get(3..end.min(rest.len())).unwrap_or_default());
                rest = rest.get(end..).unwrap_or_default();
            }
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCANNED: &[u8] = b"\xff\xda\0\x02data\xff\0data\xff\xd0data";

    #[test]
    fn a_progressive_picture_is_told_by_its_frame() {
        let with_frame = |marker: u8| [b"\xff\xd8\xff", &[marker][..], b"\0\x02", SCANNED].concat();

        assert!(is_progressive(&with_frame(0xc2)));
        assert!(!is_progressive(&with_frame(0xc0)));
        assert!(!is_progressive(b"\xff\xd8\xff\xe1\0\x06\xff\xc2\0\x02"));
    }

    #[test]
    fn only_a_progressive_picture_keeps_its_coefficients() {
        // 17 by 9, of three channels.
        let with = |marker: u8, first: u8| {
            let frame = [8, 0, 9, 0, 17, 3, 1, first, 0, 2, 0x11, 1, 3, 0x11, 1];
            [&[0xff, 0xd8, 0xff, marker, 0, 17][..], &frame, SCANNED].concat()
        };

        assert_eq!(coefficient_bytes(&with(0xc2, 0x11)), 2 * 3 * (3 * 2 * 64), "each as fine as the picture");
        assert_eq!(coefficient_bytes(&with(0xc2, 0x22)), 2 * 2 * (4 + 1 + 1) * 64, "colours half as fine");
        assert_eq!(coefficient_bytes(&with(0xc0, 0x11)), 0);
        for cut in 0..23 {
            coefficient_bytes(&with(0xc2, 0xff)[..cut]);
        }
    }

    #[test]
    fn only_the_scans_of_the_picture_count() {
        let thumbnail = b"\xff\xe1\0\x08\xff\xda\0\x02\0\0";
        let picture = [b"\xff\xd8", &thumbnail[..], SCANNED, b"\xff\xff", SCANNED, SCANNED].concat();
        let with_film = [&picture[..], b"\xff\xd9", SCANNED, SCANNED].concat();

        assert_eq!((scans(&picture), scans(&with_film)), (3, 3));
        for cut in 0..picture.len() {
            assert!(scans(&picture[..cut]) <= 3);
        }
    }

    #[test]
    fn the_larger_the_picture_the_fewer_scans_it_may_have() {
        let too_many = |scans: usize, side| too_many_scans(&SCANNED.repeat(scans), (side, side), 10_000);
        assert_eq!(too_many(16, 100), None);
        assert_eq!(too_many(17, 100), Some(17));
        assert_eq!(too_many(100, 10), None);
        assert_eq!(too_many(101, 10), Some(101));
    }
}
