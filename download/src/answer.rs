//! The second half of a download, from the headers to the bytes.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use url::Url;

use super::clock::Clock;
use super::error::{Attempt, Cause, DownloadError, Limit, Undownloadable};
use super::fetch::{Downloaded, Downloader};
use super::hosts::Turn;
use super::memory::Room;
use super::validators::Validators;
use super::{sniff, transport};

/// Room made ahead for a body at most, whatever length the server claims. Most
/// images fit, so that most bodies are put down once and never moved.
const MAX_HEAD_ROOM: usize = 512 * 1024;

/// A server may have hung up on whoever lets a picture stand for so long: no fault of it or of the picture.
const LONG: Duration = Duration::from_secs(5);

/// A body may begin as slowly as it likes for so long.
const HEAD_START: Duration = Duration::from_secs(5);

/// The headers of a picture that is on its way. Nothing of it is in memory but what the connection
/// reads ahead; the server waits meanwhile, and it does not wait for ever.
#[must_use]
pub struct Answer {
    pub(super) turn: Turn,
    /// Where it is, at the end of all redirects.
    pub(super) url: Url,
    pub(super) response: Response,
    pub(super) clock: Clock,
    /// When the last header was there.
    pub(super) since: Instant,
}

/// Tells the host of `turn` how the download ended there; not that the time was over which servers before it took.
pub(super) fn report(turn: Turn, clock: &mut Clock, error: Option<&DownloadError>) {
    let out_of_time = |error: &DownloadError| matches!(error, DownloadError::Transient(failure) if failure.cause == Cause::Timeout(Limit::Total));
    if clock.is_first_lap() || !error.is_some_and(out_of_time) {
        turn.ended(error, clock.lap());
    }
}

impl Downloader {
    /// Brings the bytes. Neither the time since the headers were there nor waiting for memory is part of
    /// any limit: that is not the server's fault.
    ///
    /// # Errors
    ///
    /// If they do not come in time or not whole, or are no picture.
    pub async fn collect(&self, answer: Answer) -> Result<Downloaded, DownloadError> {
        let Answer { turn, url, response, mut clock, since } = answer;
        let room = self.room().await;
        let stood = since.elapsed();
        clock.stood_since(since);
        let mut end = self.read(&url, response, room, &mut clock).await;
        if stood > LONG
            && let Err(DownloadError::Transient(failure)) = &mut end
            && matches!(failure.cause, Cause::Connection(_) | Cause::Truncated { .. })
        {
            failure.attempt = Attempt::PutOff;
            return end;
        }
        report(turn, &mut clock, end.as_ref().err());
        end
    }

    /// Reads the body. The limit holds while it streams in: `Content-Length` is
    /// a claim by the server, not a fact.
    async fn read(
        &self,
        url: &Url,
        mut response: Response,
        mut room: Room,
        clock: &mut Clock,
    ) -> Result<Downloaded, DownloadError> {
        let validators = Validators::of(url, response.headers());
        let limit = self.config.max_bytes;
        let claim = response.content_length().unwrap_or(0);
        if claim > limit as u64 {
            return Err(Undownloadable::TooLarge { limit }.into());
        }
        let mut body = BytesMut::with_capacity(MAX_HEAD_ROOM.min(claim as usize));
        let begun = clock.elapsed();
        let mut sniffed = false;
        while let Some(chunk) = self.next_chunk(&mut response, body.len(), clock).await? {
            if body.len() + chunk.len() > limit {
                return Err(Undownloadable::TooLarge { limit }.into());
            }
            clock.stopped(room.fit(body.len() + chunk.len())).await;
            body.extend_from_slice(&chunk);
            let (took, least) = (clock.elapsed().saturating_sub(begun), self.config.min_bytes_per_second);
            fast_enough(body.len(), took, least)?;
            if !sniffed && body.len() >= sniff::ENOUGH {
                refuse_text(&body)?;
                sniffed = true;
            }
        }
        if body.is_empty() {
            return Err(Undownloadable::Empty.into());
        }
        if !sniffed {
            refuse_text(&body)?;
        }
        Ok(Downloaded { bytes: body.freeze(), validators, room })
    }

    async fn next_chunk(
        &self,
        response: &mut Response,
        received: usize,
        clock: &Clock,
    ) -> Result<Option<Bytes>, DownloadError> {
        let chunk =
            async { response.chunk().await.map_err(|error| transport::failed_to_read(error, received)) };
        clock.within(self.config.idle_timeout, Limit::Idle, chunk).await
    }
}

/// A body that crawls would keep its permit among the pictures until the whole download is out of time.
pub(super) fn fast_enough(received: usize, took: Duration, least: u64) -> Result<(), DownloadError> {
    if took > HEAD_START && (received as f64) < took.as_secs_f64() * least as f64 {
        return Err(Cause::Timeout(Limit::Pace).into());
    }
    Ok(())
}

fn refuse_text(body: &[u8]) -> Result<(), Undownloadable> {
    if sniff::is_text(body) { Err(Undownloadable::NotAnImage) } else { Ok(()) }
}
