//! Inventories as files at a host of this machine.

use async_compression::tokio::write::GzipEncoder;
use tagfleet_shared::events::ListedImage;
use tokio::io::AsyncWriteExt;

use crate::origin::Response;

/// NDJSON: a line for each image.
pub fn plain(images: &[ListedImage]) -> anyhow::Result<Response> {
    Ok(Response::Bytes { content_type: "application/x-ndjson", body: lines(images)?.into() })
}

/// The same, packed.
pub async fn gzip(images: &[ListedImage]) -> anyhow::Result<Response> {
    let mut packed = GzipEncoder::new(Vec::new());
    packed.write_all(&lines(images)?).await?;
    packed.shutdown().await?;
    Ok(Response::Bytes { content_type: "application/gzip", body: packed.into_inner().into() })
}

fn lines(images: &[ListedImage]) -> anyhow::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for image in images {
        serde_json::to_writer(&mut lines, image)?;
        lines.push(b'\n');
    }
    Ok(lines)
}
