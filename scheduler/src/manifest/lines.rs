//! Text of unknown length, line by line, in flat memory.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest line that is taken. Every field of an image at its largest,
/// with every character escaped, is shorter.
pub const MAX_LINE_BYTES: usize = 256 * 1024;

/// Lines that are not blank.
pub struct Lines<R> {
    reader: R,
    number: u64,
    line: Vec<u8>,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The whole of it, without its line break.
    Whole(&'a [u8]),
    /// Longer than [`MAX_LINE_BYTES`]; it was not kept.
    TooLong,
}

impl Line<'_> {
    /// Whether it looks like an image at all.
    pub fn is_object(&self) -> bool {
        match self {
            Self::Whole(text) => serde_json::from_slice::<serde_json::Map<_, _>>(text).is_ok(),
            Self::TooLong => false,
        }
    }
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// The lines of `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, number: 0, line: Vec::new() }
    }

    /// The next line that is not blank, with its number in the text, from 1.
    ///
    /// # Errors
    ///
    /// If reading fails.
    pub async fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        loop {
            let Some(whole) = self.read().await? else { return Ok(None) };
            self.number += 1;
            if !whole {
                return Ok(Some((self.number, Line::TooLong)));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, Line::Whole(self.line.trim_ascii()))));
            }
        }
    }

    /// Reads to the end of the line; whether it fitted. `None` at the end.
    async fn read(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut any, mut whole) = (false, true);
        loop {
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                return Ok(any.then_some(whole));
            }
            any = true;
            let end = available.iter().position(|&byte| byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            whole = whole && self.line.len() + part.len() <= MAX_LINE_BYTES;
            if whole {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(whole));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::BufReader;

    /// The lines of `text`, read `capacity` bytes at a time, with their numbers.
    async fn lines(text: &[u8], capacity: usize) -> Vec<(u64, String)> {
        let mut lines = Lines::new(BufReader::with_capacity(capacity, text));
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().await.unwrap() {
            let text = match line {
                Line::Whole(text) => String::from_utf8(text.to_vec()).unwrap(),
                Line::TooLong => "too long".to_owned(),
            };
            all.push((number, text));
        }
        all
    }

    #[tokio::test]
    async fn lines_are_the_same_however_they_arrive() {
        let text = b"one\n\n  \r\ntwo\r\n\nthree";
        let expected = [(1, "one".to_owned()), (4, "two".to_owned()), (6, "three".to_owned())];
        for capacity in [1, 2, 3, 4, 5, 100] {
            assert_eq!(lines(text, capacity).await, expected);
        }
        assert_eq!(lines(b"", 10).await, []);
        assert_eq!(lines(b"\n\n", 10).await, []);
    }

    #[tokio::test]
    async fn a_line_of_exactly_the_limit_is_kept_and_one_byte_more_is_not() {
        let mut text = vec![b'a'; MAX_LINE_BYTES];
        text.push(b'\n');
        text.extend(vec![b'b'; MAX_LINE_BYTES + 1]);
        text.extend(b"\nafter");
        let lines = lines(&text, 8192).await;
        assert_eq!(lines[0], (1, "a".repeat(MAX_LINE_BYTES)));
        assert_eq!(lines[1..], [(2, "too long".to_owned()), (3, "after".to_owned())]);
    }
}
