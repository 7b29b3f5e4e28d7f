//! Pictures that somebody wants looked at and waits for: through the same limits, decoders and batches as jobs, but
//! nothing is looked up and nothing recorded.

use std::sync::Arc;

use bytes::Bytes;
use tagfleet_download::{DownloadError, Downloaded};
use tagfleet_shared::broker::{Consumer, Publisher, Received};
use tagfleet_shared::ids::{BytesHash, ImageId};
use tagfleet_shared::jobs::Trust;
use tagfleet_shared::lane::Lane;
use tagfleet_shared::questions::{Question, Reply, Said};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::outcome::{Known, Outcome, Stop, Unfinished};
use crate::pipeline::{Pipeline, Wanted, source_of};
use crate::sets::SetAtWork;
use crate::source::{check_content, check_size};

/// Questions at once: a few, as each may bring a picture with it, and jobs are what workers are for.
pub const AT_ONCE: u16 = 8;

/// Answers questions.
pub struct Questions {
    /// Downloads, decodes and infers, with the permits of the jobs.
    pub pipeline: Arc<Pipeline>,
    /// The way of the answers.
    pub publisher: Publisher,
}

impl Questions {
    /// Answers until `stop`. A question that is not answered by then is another worker's.
    pub async fn run(self, mut asked: Consumer, stop: CancellationToken) {
        let (this, running) = (Arc::new(self), TaskTracker::new());
        while let Some(received) = stop.run_until_cancelled(asked.next()).await {
            let this = this.clone();
            running.spawn(stop.clone().run_until_cancelled_owned(async move { this.answer(received).await }));
        }
        running.close();
        running.wait().await;
        asked.close().finished().await;
    }

    async fn answer(&self, mut received: Received) {
        let set = self.pipeline.sets.now();
        let reply = match received.question() {
            Some(question) => Box::pin(reply(&self.pipeline, &set, question)).await,
            None => Reply::Unwell { error: "a question that this worker is too old for".into() },
        };
        if let Some(outgoing) = received.reply(&reply)
            && let Err(error) = self.publisher.publish(&[outgoing]).await
        {
            warn!(%error, "an answer could not be sent");
        }
        received.ack();
    }
}

async fn reply(pipeline: &Pipeline, set: &SetAtWork, question: Question) -> Reply {
    let not = |reason: &str| Reply::Not { reason: reason.into() };
    match look(pipeline, set, question).await {
        Ok(said) => Reply::Said(said),
        Err(Stop::End(outcome)) => not(outcome.failure().map_or("unknown", |failure| &failure.reason)),
        Err(Stop::Not(Unfinished::Later(transient))) => {
            not(Outcome::given_up(&transient).failure().map_or("unknown", |f| &f.reason))
        }
        Err(Stop::Not(Unfinished::Poison(poison))) => not(poison.reason()),
        Err(Stop::Not(Unfinished::Suspected)) => not("killed_worker"),
        Err(Stop::Outage(outage)) => {
            debug!(error = %outage, "a question met an outage");
            Reply::Unwell { error: outage.to_string() }
        }
    }
}

async fn look(pipeline: &Pipeline, set: &SetAtWork, question: Question) -> Result<Said, Stop> {
    set.models.check().await?;
    let end = |error| Stop::from(DownloadError::Final(error));
    // The room of a downloaded picture is held until it is decoded, as that of a job's.
    let (bytes, held) = match question {
        Question::Url(url) => {
            let (id, source) = (ImageId::of(None, &url), source_of(&url));
            let (lane, trust) = (Lane::Express, Trust::Memory);
            let wanted = Wanted { id, source, lane, scrape: None, suspected: false, trust };
            let (Downloaded { bytes, room, .. }, permit) = Box::pin(pipeline.download(&wanted)).await?;
            (bytes, Some((permit, room)))
        }
        Question::Bytes(bytes) => {
            check_size(bytes.len() as u64, pipeline.downloader.max_bytes()).map_err(end)?;
            check_content(&bytes).map_err(end)?;
            (Bytes::from(bytes), None)
        }
    };
    let hash = BytesHash::of(&bytes);
    let Known { answer, width, height, .. } = set.look(Lane::Express, hash, bytes, held).await?;
    Ok(Said {
        model_set: set.name.clone(),
        digest: set.digest.clone(),
        tags: answer.tags,
        scores: answer.scores,
        bytes_hash: hash.0,
        width,
        height,
    })
}
