//! Pictures on their way to a process that decodes them, and what it made of them on the way back.
//!
//! A request is the length of the file (8 bytes, little-endian) and the file. A reply is the length of
//! its head in the same way, the head as JSON, and the planes one after the other. Both ends are the
//! same program, so nothing here has to outlive a deploy.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::format::Format;
use super::{InputSize, Pixels, Undecodable};

/// A head with more bytes than this is none.
const MAX_HEAD: usize = 1 << 16;

/// What a reply begins with.
#[derive(Debug, Serialize, Deserialize)]
enum Head {
    Decoded { width: u32, height: u32, format: String, sizes: Vec<(u32, u32)> },
    Refused(Undecodable),
}

/// Writes a picture that is to be decoded.
///
/// # Errors
///
/// If the other end is gone or too slow.
pub fn send_picture(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)
}

/// Reads a picture into `bytes`, in place of what is there. False where there are no more.
///
/// # Errors
///
/// If the other end is gone in the middle of it.
pub fn receive_picture(mut from: impl Read, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 8];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    bytes.clear();
    let length = u64::from_le_bytes(length);
    if from.take(length).read_to_end(bytes)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(true)
}

/// Writes what became of a picture.
///
/// # Errors
///
/// If the other end is gone.
pub fn send_reply(mut to: impl Write, reply: &Result<Pixels, Undecodable>) -> io::Result<()> {
    let (head, planes) = match reply {
        Ok(pixels) => {
            let Pixels { planes, width, height, format } = pixels;
            let sizes = planes.iter().map(|(size, _)| (size.height, size.width)).collect();
            let format = (*format).to_owned();
            (Head::Decoded { width: *width, height: *height, format, sizes }, &planes[..])
        }
        Err(refused) => (Head::Refused(refused.clone()), &[][..]),
    };
    let head = serde_json::to_vec(&head)?;
    to.write_all(&(head.len() as u64).to_le_bytes())?;
    to.write_all(&head)?;
    planes.iter().try_for_each(|(_, plane)| to.write_all(plane))
}

/// Reads what became of a picture, for models that look at `sizes`.
///
/// # Errors
///
/// If the other end is gone or too slow, or speaks of other sizes.
pub fn receive_reply(mut from: impl Read, sizes: &[InputSize]) -> io::Result<Result<Pixels, Undecodable>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_HEAD {
        return Err(nonsense("a head that is too long"));
    }
    let mut head = vec![0; length];
    from.read_exact(&mut head)?;
    let (width, height, format, sent) = match serde_json::from_slice(&head)? {
        Head::Refused(refused) => return Ok(Err(refused)),
        Head::Decoded { width, height, format, sizes } => (width, height, format, sizes),
    };
    // Memory is taken for what was asked for, whatever the other end says.
    if !sent.iter().copied().eq(sizes.iter().map(|size| (size.height, size.width))) {
        return Err(nonsense("planes of other sizes"));
    }
    let mut planes = Vec::with_capacity(sizes.len());
    for size in sizes {
        let mut plane = vec![0; 3 * size.height as usize * size.width as usize].into_boxed_slice();
        from.read_exact(&mut plane)?;
        planes.push((*size, plane));
    }
    let format = Format::word(&format).ok_or_else(|| nonsense("a format that nobody knows"))?;
    Ok(Ok(Pixels { planes, width, height, format }))
}

fn nonsense(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_arrives_as_it_was_sent() {
        let mut wire = Vec::new();
        send_picture(&mut wire, b"a file").unwrap();
        send_picture(&mut wire, b"").unwrap();
        let mut from = &wire[..];
        let mut bytes = b"the one before".to_vec();

        assert!(receive_picture(&mut from, &mut bytes).unwrap());
        assert_eq!(bytes, b"a file");
        assert!(receive_picture(&mut from, &mut bytes).unwrap());
        assert_eq!(bytes, b"");
        assert!(!receive_picture(&mut from, &mut bytes).unwrap(), "no more");
        assert!(receive_picture(&wire[..10], &mut bytes).is_err(), "cut off");
    }

    #[test]
    fn a_reply_arrives_as_it_was_sent() {
        let sizes = [InputSize { height: 2, width: 3 }, InputSize { height: 1, width: 1 }];
        let pixels = Pixels { format: "png", width: 40, height: 30, ..Pixels::filled(&sizes, [1, 2, 3]) };
        let refused = Undecodable::UnsupportedFormat("avif".into());
        for reply in [Ok(pixels), Err(refused), Err(Undecodable::TooManyScans { scans: 7 })] {
            let mut wire = Vec::new();
            send_reply(&mut wire, &reply).unwrap();
            assert_eq!(receive_reply(&wire[..], &sizes).unwrap(), reply);
            assert!(receive_reply(&wire[..wire.len() - 1], &sizes).is_err(), "cut off");
        }
    }

    /// A process that a picture has taken over cannot make the worker take memory.
    #[test]
    fn a_reply_of_other_sizes_is_none() {
        let mut wire = Vec::new();
        send_reply(&mut wire, &Ok(Pixels::filled(&[InputSize { height: 2, width: 3 }], [0; 3]))).unwrap();
        assert!(receive_reply(&wire[..], &[InputSize { height: 2, width: 2 }]).is_err());
        assert!(receive_reply(&[0xff; 80][..], &[]).is_err());
    }
}
