//! An array file for Python, filled by many threads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::decode::InputSize;

/// A file `uint8 [rows, height, width, 3]`. Rows that are never written are black.
pub struct Array {
    file: File,
    header: u64,
    row: u64,
}

impl Array {
    /// Makes the file, or empties it. Takes no room on the disk yet.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or the file system has no files of that size.
    pub fn create(path: &Path, rows: usize, size: InputSize) -> io::Result<Self> {
        let header = header(rows, size);
        let row = 3 * u64::from(size.height) * u64::from(size.width);
        let file = File::create(path)?;
        file.set_len(header.len() as u64 + rows as u64 * row)?;
        file.write_all_at(&header, 0)?;
        Ok(Self { file, header: header.len() as u64, row })
    }

    /// Writes one row, from whatever thread.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, as on a disk that is full.
    pub fn fill(&self, row: usize, pixels: &[u8]) -> io::Result<()> {
        debug_assert_eq!(pixels.len() as u64, self.row);
        self.file.write_all_at(pixels, self.header + row as u64 * self.row)
    }
}

/// Version 1.0: a signature, the length of the rest, and a Python literal, padded
/// so that the data begin at a multiple of 64.
fn header(rows: usize, size: InputSize) -> Vec<u8> {
    const SIGNATURE: &[u8] = b"\x93NUMPY\x01\x00";
    let InputSize { height, width } = size;
    let mut text =
        format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}, {height}, {width}, 3), }}");
    let begin = SIGNATURE.len() + 2;
    let length = (begin + text.len() + 1).next_multiple_of(64) - begin;
    text.extend(std::iter::repeat_n(' ', length - text.len() - 1));
    text.push('\n');
    [SIGNATURE, &(length as u16).to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_numpys_and_the_data_begin_at_a_multiple_of_64() {
        let header = header(3, InputSize { height: 2, width: 5 });
        assert_eq!(header.len(), 128);
        assert_eq!(&header[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = std::str::from_utf8(&header[10..]).unwrap();
        assert_eq!(text.trim_end(), "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2, 5, 3), }");
        assert!(text.ends_with(" \n"));
    }
}
