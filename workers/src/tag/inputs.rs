//! What `tag` is asked to look at.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use futures::Stream;
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::jobs::Trust;
use tagfleet_shared::lane::Lane;
use tokio::sync::mpsc;
use url::Url;

use crate::files;
use crate::pipeline::Wanted;
use crate::source::Source;

/// Lines of stdin that are read ahead.
const READ_AHEAD: usize = 256;

/// One thing to tag.
#[derive(Debug)]
pub enum Input {
    /// A picture somewhere.
    Image {
        /// As the user wrote it.
        name: String,
        /// The same for the pipeline.
        wanted: Wanted,
    },
    /// A line that says nothing.
    Malformed {
        /// Which.
        name: String,
        /// What is wrong with it.
        error: String,
    },
}

impl Input {
    fn named(name: String, image_key: Option<&str>) -> Self {
        let source = match Url::parse(&name) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Source::Url(url),
            _ => Source::File(PathBuf::from(&name)),
        };
        let id = ImageId::of(image_key, &name);
        Self::Image {
            name,
            wanted: Wanted {
                id,
                source,
                lane: Lane::Express,
                scrape: None,
                suspected: false,
                trust: Trust::Memory,
            },
        }
    }
}

/// A line of NDJSON: an object like those of a manifest, or just a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Object { url: String, image_key: Option<String> },
    Name(String),
}

/// All inputs in order, and how many they are, where that is known in advance.
pub fn read(arguments: &[String]) -> (impl Stream<Item = Input> + Unpin + use<>, Option<u64>) {
    let mut given = Vec::new();
    let mut stdin = None;
    for argument in arguments {
        if argument == "-" {
            stdin.get_or_insert_with(lines);
        } else if Path::new(argument).is_dir() {
            given.extend(files::below(Path::new(argument)));
        } else {
            given.push(argument.clone());
        }
    }
    let total = stdin.is_none().then_some(given.len() as u64);
    let given = stream::iter(given).map(|name| Input::named(name, None));
    let piped = stream::unfold(stdin, |stdin| async {
        let mut lines = stdin?;
        Some((lines.recv().await?, Some(lines)))
    });
    (Box::pin(given.chain(piped)), total)
}

/// Reads stdin on a thread of its own, a little ahead of the work.
fn lines() -> mpsc::Receiver<Input> {
    let (send, lines) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        for (number, line) in std::io::stdin().lock().lines().enumerate() {
            let name = format!("-:{}", number + 1);
            let input = match line {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) => parse(&line, name),
                Err(error) => Input::Malformed { name, error: error.to_string() },
            };
            if send.blocking_send(input).is_err() {
                return;
            }
        }
    });
    lines
}

fn parse(line: &str, name: String) -> Input {
    let line = line.trim();
    if !line.starts_with(['{', '"', '[']) {
        return Input::named(line.to_owned(), None);
    }
    match serde_json::from_str(line) {
        Ok(Listed::Object { url, image_key }) => Input::named(url, image_key.as_deref()),
        Ok(Listed::Name(name)) => Input::named(name, None),
        Err(_) => {
            Input::Malformed { name, error: r#"neither {"url": ...} nor a string nor a plain path"#.into() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(line: &str) -> Option<Source> {
        match parse(line, "-:1".into()) {
            Input::Image { wanted, .. } => Some(wanted.source),
            Input::Malformed { .. } => None,
        }
    }

    #[test]
    fn a_line_is_an_object_a_string_or_plain_text() {
        let url = Source::Url(Url::parse("http://a.test/1.jpg").unwrap());
        assert_eq!(source(r#"{"url": "http://a.test/1.jpg", "position": 3}"#), Some(url.clone()));
        assert_eq!(source(r#""http://a.test/1.jpg""#), Some(url.clone()));
        assert_eq!(source("http://a.test/1.jpg"), Some(url));
        assert_eq!(source("photos/1.jpg"), Some(Source::File("photos/1.jpg".into())));
        assert_eq!(source(r#"{"uri": "http://a.test/1.jpg"}"#), None);
    }
}
