//! Where a picture comes from.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use tagfleet_download::{
    Answer, DownloadError, Downloaded, Downloader, Revalidated, Turn, Undownloadable, Validators, is_text,
};
use tagfleet_shared::ids::ImageId;
use tagfleet_shared::lane::Lane;
use url::Url;
use uuid::Uuid;

/// A place to get bytes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A server.
    Url(Url),
    /// A file of this machine, for `tagfleet-worker tag`.
    File(PathBuf),
    /// Text that is no URL.
    Unreadable,
}

impl Source {
    /// A hash of the URL; nil where there is none.
    pub fn url_id(&self) -> Uuid {
        match self {
            Self::Url(url) => ImageId::of(None, url.as_str()).0,
            Self::File(_) | Self::Unreadable => Uuid::nil(),
        }
    }

    /// Waits until its host may be asked.
    ///
    /// # Errors
    ///
    /// Those of [`Downloader::turn`].
    pub async fn turn(&self, downloader: &Downloader, lane: Lane) -> Result<Option<Turn>, DownloadError> {
        match self {
            Self::Url(url) => downloader.turn(url, lane).await.map(Some),
            Self::File(_) | Self::Unreadable => Ok(None),
        }
    }

    /// Asks for the bytes, in a turn that [`Self::turn`] has given.
    ///
    /// # Errors
    ///
    /// Those of [`Downloader::ask`].
    pub async fn ask(
        &self,
        downloader: &Downloader,
        turn: Option<Turn>,
    ) -> Result<Answered<'_>, DownloadError> {
        match (self, turn) {
            (Self::Url(url), Some(turn)) => downloader.ask(url, turn).await.map(Answered::server),
            (Self::File(path), _) => Ok(Answered::File(path)),
            _ => Err(DownloadError::Final(Undownloadable::BadUrl("cannot be parsed"))),
        }
    }

    /// As [`Self::ask`], but a server sends nothing where the picture is the `known` one still.
    ///
    /// # Errors
    ///
    /// Those of [`Self::ask`].
    pub async fn ask_again(
        &self,
        downloader: &Downloader,
        turn: Option<Turn>,
        known: &Validators,
    ) -> Result<Revalidated<Answered<'_>>, DownloadError> {
        match (self, turn) {
            (Self::Url(url), Some(turn)) => Ok(match downloader.ask_again(url, turn, known).await? {
                Revalidated::Sent(answer) => Revalidated::Sent(Answered::server(answer)),
                Revalidated::NotModified(validators) => Revalidated::NotModified(validators),
            }),
            (_, turn) => self.ask(downloader, turn).await.map(Revalidated::Sent),
        }
    }
}

/// Bytes that are there to be collected.
pub enum Answered<'a> {
    /// A server has begun to send them.
    Server(Box<Answer>),
    /// They are in a file.
    File(&'a Path),
}

impl Answered<'_> {
    fn server(answer: Answer) -> Self {
        Self::Server(Box::new(answer))
    }

    /// Brings the bytes.
    ///
    /// # Errors
    ///
    /// Those of [`Downloader::collect`]; a file that cannot be read is gone or denied.
    pub async fn collect(self, downloader: &Downloader) -> Result<Downloaded, DownloadError> {
        match self {
            Self::Server(answer) => downloader.collect(*answer).await,
            Self::File(path) => {
                let mut room = downloader.room().await;
                let size = size(path, downloader.max_bytes()).await.map_err(DownloadError::Final)?;
                room.fit(size).await;
                let bytes = read(path).await.map_err(DownloadError::Final)?;
                Ok(Downloaded { bytes, validators: Validators::default(), room })
            }
        }
    }
}

/// The size limit holds for files as well: a folder may hold anything.
async fn size(path: &Path, limit: usize) -> Result<usize, Undownloadable> {
    check_size(tokio::fs::metadata(path).await.map_err(unreadable)?.len(), limit)
}

async fn read(path: &Path) -> Result<Bytes, Undownloadable> {
    let bytes = tokio::fs::read(path).await.map_err(unreadable)?;
    check_content(&bytes)?;
    Ok(bytes.into())
}

/// Whether a file of `size` bytes is taken, where `limit` are the most.
///
/// # Errors
///
/// If it is empty or too large.
pub fn check_size(size: u64, limit: usize) -> Result<usize, Undownloadable> {
    match usize::try_from(size) {
        Ok(0) => Err(Undownloadable::Empty),
        Ok(size) if size <= limit => Ok(size),
        _ => Err(Undownloadable::TooLarge { limit }),
    }
}

/// Whether a file with these bytes is given to the decoder.
///
/// # Errors
///
/// If it is text.
pub fn check_content(bytes: &[u8]) -> Result<(), Undownloadable> {
    if is_text(bytes) { Err(Undownloadable::NotAnImage) } else { Ok(()) }
}

fn unreadable(error: std::io::Error) -> Undownloadable {
    match error.kind() {
        std::io::ErrorKind::NotFound => Undownloadable::Gone(404),
        _ => Undownloadable::Denied(403),
    }
}
