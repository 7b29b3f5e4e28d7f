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
    /// A second before each answer, and it is 503.
    Slow,
    /// Down and well, in turns.
    Flapping,
    /// Bodies shorter than they are said to be.
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
        match self {
            Self::Down | Self::Flapping => Response::Status(503),
            Self::Slow => Response::After(Duration::from_secs(1), Box::new(Response::Status(503))),
            Self::LyingLength => Response::LyingLength {
                claimed: 1_000_000,
                body: Bytes::from_static(b"\xFF\xD8\xFF\xE0 and no more"),
            },
            Self::LyingType => Response::jpeg(Bytes::from_static(b"<html><body>Log in</body></html>")),
            Self::Stalled => Response::Stall,
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
            if self.manner == Manner::Flapping {
                for _ in 0..5 {
                    arena.origin.overrule(None);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    arena.origin.overrule(Some(self.manner.response()));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            arena.origin.overrule(None);
            Ok(())
        }
        .boxed()
    }

    fn spoils_pictures(&self) -> bool {
        true
    }
}
