//! Pictures on their way to a process that decodes them, and what it made of them on the way back.
//!
//! Both ends have a file in memory between them: the picture is put there, and then the planes in its
//! place. A message says that something is there: a request is the length of the picture, a reply the
//! length of its head (8 bytes each, little-endian) and the head as JSON. So each end wakes up once for a
//! picture, however large. Both ends are the same program, so nothing here has to outlive a deploy.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

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

/// Sends a picture that is to be decoded.
///
/// # Errors
///
/// If the other end is gone or too slow, or there is no memory.
pub fn send_picture(mut to: impl Write, between: &File, bytes: &[u8]) -> io::Result<()> {
    between.write_all_at(bytes, 0)?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())
}

/// Takes a picture into `bytes`, in place of what is there. False where there are no more.
///
/// # Errors
///
/// If the other end is gone in the middle of it.
pub fn receive_picture(mut from: impl Read, between: &File, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 8];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    let length = u64::from_le_bytes(length);
    if length > between.metadata()?.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.resize(usize::try_from(length).map_err(|_| nonsense("a picture that is too long"))?, 0);
    between.read_exact_at(bytes, 0)?;
    Ok(true)
}

/// Sends what became of a picture.
///
/// # Errors
///
/// If the other end is gone, or there is no memory.
pub fn send_reply(mut to: impl Write, between: &File, reply: &Result<Pixels, Undecodable>) -> io::Result<()> {
    let (head, planes) = match reply {
        Ok(pixels) => {
            let Pixels { planes, width, height, format } = pixels;
            let sizes = planes.iter().map(|(size, _)| (size.height, size.width)).collect();
            let format = (*format).to_owned();
            (Head::Decoded { width: *width, height: *height, format, sizes }, &planes[..])
        }
        Err(refused) => (Head::Refused(refused.clone()), &[][..]),
    };
    let mut offset = 0;
    for (_, plane) in planes {
        between.write_all_at(plane, offset)?;
        offset += plane.len() as u64;
    }
    let head = serde_json::to_vec(&head)?;
    to.write_all(&[&(head.len() as u64).to_le_bytes()[..], &head].concat())
}

/// Takes what became of a picture, for models that look at `sizes`.
///
/// # Errors
///
/// If the other end is gone or too slow, or speaks of other sizes.
pub fn receive_reply(
    mut from: impl Read,
    between: &File,
    sizes: &[InputSize],
) -> io::Result<Result<Pixels, Undecodable>> {
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
    let (mut planes, mut offset) = (Vec::with_capacity(sizes.len()), 0);
    for size in sizes {
        let mut plane = vec![0; 3 * size.height as usize * size.width as usize].into_boxed_slice();
        between.read_exact_at(&mut plane, offset)?;
        offset += plane.len() as u64;
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

    fn between() -> File {
        rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap().into()
    }

    #[test]
    fn a_picture_arrives_as_it_was_sent() {
        let (mut wire, between) = (Vec::new(), between());
        let mut bytes = b"the one before".to_vec();
        for picture in [&b"a file"[..], b"", b"another"] {
            wire.clear();
            send_picture(&mut wire, &between, picture).unwrap();
            assert!(receive_picture(&wire[..], &between, &mut bytes).unwrap());
            assert_eq!(bytes, picture);
        }
        assert!(!receive_picture(&[][..], &between, &mut bytes).unwrap(), "no more");
        between.set_len(3).unwrap();
        assert!(receive_picture(&wire[..], &between, &mut bytes).is_err(), "cut off");
    }

    #[test]
    fn a_reply_arrives_as_it_was_sent() {
        let sizes = [InputSize { height: 2, width: 3 }, InputSize { height: 1, width: 1 }];
        let pixels = Pixels { format: "png", width: 40, height: 30, ..Pixels::filled(&sizes, [1, 2, 3]) };
        let refused = Undecodable::UnsupportedFormat("avif".into());
        for reply in [Ok(pixels), Err(refused), Err(Undecodable::TooManyScans { scans: 7 })] {
            let (mut wire, between) = (Vec::new(), between());
            send_reply(&mut wire, &between, &reply).unwrap();
            assert_eq!(receive_reply(&wire[..], &between, &sizes).unwrap(), reply);
            let cut_off = receive_reply(&wire[..wire.len() - 1], &between, &sizes);
            assert!(cut_off.is_err());
        }
    }

    /// A process that a picture has taken over cannot make the worker take memory.
    #[test]
    fn a_reply_of_other_sizes_is_none() {
        let (mut wire, between) = (Vec::new(), between());
        let pixels = Pixels::filled(&[InputSize { height: 2, width: 3 }], [0; 3]);
        send_reply(&mut wire, &between, &Ok(pixels)).unwrap();
        assert!(receive_reply(&wire[..], &between, &[InputSize { height: 2, width: 2 }]).is_err());
        assert!(receive_reply(&[0xff; 80][..], &between, &[]).is_err());
    }
}
