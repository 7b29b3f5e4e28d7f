//! PNG files without what is beside their pictures.

/// The chunk that says which colours are clear, the only one that a picture needs and could be shown without.
const CLEAR: [u8; 4] = *b"tRNS";

const SIGNATURE_BYTES: usize = 8;

/// What each chunk has beside its data: its length, its name and a check sum.
const FRAME_BYTES: usize = 12;

/// The file without colour profile, EXIF, texts and further frames, whole or cut off.
///
/// Nobody asks for them, and a decoder keeps them all and unpacks the profile, to any size, before it tells how
/// large the picture is.
pub(super) fn picture_alone(file: &[u8]) -> Vec<u8> {
    let (signature, mut chunks) = file.split_at(SIGNATURE_BYTES.min(file.len()));
    let mut alone = Vec::with_capacity(file.len());
    alone.extend_from_slice(signature);
    while let Some(([a, b, c, d, name @ ..], _)) = chunks.split_first_chunk::<8>() {
        let length = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).saturating_add(FRAME_BYTES);
        let (chunk, rest) = chunks.split_at(length.min(chunks.len()));
        // A decoder refuses what it does not know of these.
        let critical = name[0] & 0x20 == 0;
        if critical || *name == CLEAR {
            alone.extend_from_slice(chunk);
        }
        chunks = rest;
    }
    alone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for (name, data) in chunks {
            file.extend((data.len() as u32).to_be_bytes());
            file.extend([name.as_slice(), data, b"sum!"].concat());
        }
        file
    }

    #[test]
    fn what_makes_the_picture_stays_and_all_else_goes() {
        let all = file(&[
            (b"IHDR", b"head"),
            (b"iCCP", b"profile"),
            (b"tRNS", b"clear"),
            (b"acTL", b""),
            (b"IDAT", b"one"),
            (b"fdAT", b"a frame"),
            (b"IDAT", b"two"),
            (b"zTXt", b"text"),
            (b"IEND", b""),
        ]);
        let alone = file(&[
            (b"IHDR", b"head"),
            (b"tRNS", b"clear"),
            (b"IDAT", b"one"),
            (b"IDAT", b"two"),
            (b"IEND", b""),
        ]);
        assert_eq!(picture_alone(&all), alone);
        assert_eq!(picture_alone(&alone), alone);
    }

    #[test]
    fn of_a_file_that_is_cut_off_what_is_there_stays() {
        let (whole, head) = (file(&[(b"IHDR", b"head"), (b"IDAT", b"pixels")]), file(&[(b"IHDR", b"head")]));
        for length in 0..=whole.len() {
            let alone = picture_alone(&whole[..length]);
            assert!(whole.starts_with(&alone) && length - alone.len() < 8, "{length}");
        }
        let text = file(&[(b"IHDR", b"head"), (b"tEXt", b"a long text")]);
        assert_eq!(picture_alone(&text[..text.len() - 6]), head);
        // A length that no file has.
        assert_eq!(picture_alone(&[head.as_slice(), &[0xff; 9]].concat()), head);
    }
}
