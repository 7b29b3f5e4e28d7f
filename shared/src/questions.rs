//! What somebody asks the workers and waits for: not a job, because nobody is there for the answer later.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::tags::{Scores, Tags};

/// A picture that the models are to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// It is at this URL.
    Url(String),
    /// These are its bytes.
    Bytes(Vec<u8>),
}

impl Question {
    /// The kind as it is on the wire, so never rename one.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Url(_) => "url_v1",
            Self::Bytes(_) => "bytes_v1",
        }
    }

    /// From its parts on the wire; none if it is a kind that only newer processes know.
    pub(crate) fn read(kind: &str, body: Vec<u8>) -> Option<Self> {
        match kind {
            "url_v1" => String::from_utf8(body).ok().map(Self::Url),
            "bytes_v1" => Some(Self::Bytes(body)),
            _ => None,
        }
    }

    pub(crate) fn into_body(self) -> Vec<u8> {
        match self {
            Self::Url(url) => url.into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// The models looked at it.
    Said(Said),
    /// It could not be had or read, for this reason: a stable word.
    Not {
        /// The reason.
        reason: String,
    },
    /// The worker is unwell: another one may do better.
    Unwell {
        /// What is wrong, in words.
        error: String,
    },
}

/// What a model set said of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The model set.
    pub model_set: String,
    /// Tells it from every other.
    pub digest: String,
    /// What it said.
    pub tags: Tags,
    /// How sure it was, 0 to 1.
    pub scores: Scores,
    /// A hash of the bytes.
    pub bytes_hash: Uuid,
    /// The picture's width in pixels.
    pub width: u32,
    /// And its height.
    pub height: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Consoles and workers are not of one version during a roll-out.
    #[test]
    fn the_wire_format_is_stable() {
        let wire = r#"{"type":"not","reason":"not_an_image"}"#;
        let reply: Reply = serde_json::from_str(wire).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), wire);
        for question in [Question::Url("http://a.test/".into()), Question::Bytes(vec![0xff])] {
            assert_eq!(Question::read(question.kind(), question.clone().into_body()), Some(question));
        }
        assert_eq!(Question::read("url_v2", Vec::new()), None);
    }
}
