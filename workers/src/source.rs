//! Where a picture comes from.

use std::path::PathBuf;

use bytes::Bytes;
use url::Url;

use crate::download::{DownloadError, Downloader, Undownloadable, is_text};

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
    /// Brings the bytes.
    ///
    /// # Errors
    ///
    /// Those of [`Downloader::fetch`]; a file that cannot be read is gone or denied.
    pub async fn fetch(&self, downloader: &Downloader) -> Result<Bytes, DownloadError> {
        match self {
            Self::Url(url) => downloader.fetch(url).await,
            Self::File(path) => read(path, downloader.max_bytes()).await.map_err(DownloadError::Final),
            Self::Unreadable => Err(DownloadError::Final(Undownloadable::BadUrl("cannot be parsed"))),
        }
    }
}

/// The size limit holds for files as well: a folder may hold anything.
async fn read(path: &PathBuf, limit: usize) -> Result<Bytes, Undownloadable> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Undownloadable::Gone(404),
        _ => Undownloadable::Denied(403),
    };
    let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if size > limit as u64 {
        return Err(Undownloadable::TooLarge { limit });
    }
    if size == 0 {
        return Err(Undownloadable::Empty);
    }
    let bytes = tokio::fs::read(path).await.map_err(unreadable)?;
    if is_text(&bytes[..bytes.len().min(512)]) {
        return Err(Undownloadable::NotAnImage);
    }
    Ok(bytes.into())
}
