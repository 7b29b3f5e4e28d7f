//! A host of pictures that is unwell.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Arena, Fault, Site};
use crate::origin::Response;

/// How it is unwell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// 503 to everything.
    Down,
    /// A second before each answer, which is the right one or 503, in turns.
    Slow,
    /// Down and well, in turns.
    Flapping,
    /// Bodies shorter and longer than they are said to be, in turns.
    LyingLength,
    /// A web page instead of a picture.
    LyingType,
    /// Requests that are never answered.
    Stalled,
}

impl Manner {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Down, Self::Slow, Self::Flapping, Self::LyingLength, Self::LyingType, Self::Stalled];

    fn response(self) -> Response {
        let down = Response::Status(503);
        match self {
            Self::Down => down,
            Self::Flapping => in_turns(Duration::from_millis(200), [down, Response::Usual]),
            Self::Slow => {
                let answer = in_turns(Duration::from_millis(700), [Response::Usual, down]);
                Response::After(Duration::from_secs(1), Box::new(answer))
            }
            Self::LyingLength => {
                let body = Bytes::from_static(b"\xFF\xD8\xFF\xE0 and no more");
                let lying = |claimed| Response::LyingLength { claimed, body: body.clone() };
                in_turns(Duration::from_millis(200), [lying(1_000_000), lying(4)])
            }
            Self::LyingType => Response::jpeg(Bytes::from_static(b"<html><body>Log in</body></html>")),
            Self::Stalled => Response::Stall,
        }
    }

    /// What becomes of a picture that meets it. Four bytes of a JPEG are a whole body, and no picture.
    fn spoils(self) -> &'static [&'static str] {
        match self {
            Self::Down | Self::Flapping | Self::Slow => &["server_error", "timeout"],
            Self::LyingLength => &["truncated", "connection", "undecodable", "timeout"],
            Self::LyingType => &["not_an_image"],
            Self::Stalled => &["timeout"],
        }
    }
}

/// The host of the pictures is unwell.
pub struct Unwell {
    manner: Manner,
}

impl Unwell {
    /// In this manner.
    pub fn new(manner: Manner) -> Self {
        Self { manner }
    }
}

impl Fault for Unwell {
    fn name(&self) -> String {
        format!("origin: {:?}", self.manner)
    }

    fn sites(&self) -> Vec<Site> {
        vec![Site::Origin]
    }

    fn begin<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            arena.origin.overrule(Some(self.manner.response()));
            Ok(())
        }
        .boxed()
    }

    fn end<'a>(&'a mut self, arena: &'a Arena) -> BoxFuture<'a, anyhow::Result<()>> {
        async {
            arena.origin.overrule(None);
            Ok(())
        }
        .boxed()
    }

    fn spoils(&self) -> &'static [&'static str] {
        self.manner.spoils()
    }

    /// Long enough for each of two turns.
    fn least(&self) -> Duration {
        match self.manner {
            Manner::Slow | Manner::Flapping | Manner::LyingLength => Duration::from_secs(2),
            Manner::Down | Manner::LyingType | Manner::Stalled => Duration::ZERO,
        }
    }
}

fn in_turns(each: Duration, two: [Response; 2]) -> Response {
    Response::InTurns(each, Box::new(two))
}
