//! What a drawing takes is held for as long as it takes it.

use std::time::Duration;

use futures::FutureExt;
use image::{ImageFormat, RgbImage};
use tagfleet_shared::config as settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::{ConsoleConfig, DEFAULTS};

/// With one decoder, and memory for one small picture.
fn thumbnails() -> Thumbnails {
    tagfleet_shared::tls::install();
    let variables = [
        ("TAGFLEET__THUMBNAILS__DECODERS", "1"),
        ("TAGFLEET__DOWNLOAD__MAX_MEMORY_BYTES", "262144"),
        ("TAGFLEET__DOWNLOAD__ALLOW_NETWORKS", "127.0.0.0/8"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let config = settings::load::<ConsoleConfig>(DEFAULTS, None, variables).unwrap().config;
    Thumbnails::new(&config.thumbnails, &config.download).unwrap()
}

/// Sends one picture to whoever asks first.
async fn serve(listener: TcpListener) {
    let mut png = std::io::Cursor::new(Vec::new());
    RgbImage::new(40, 30).write_to(&mut png, ImageFormat::Png).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let _ = stream.read(&mut [0; 4096]).await.unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", png.get_ref().len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(png.get_ref()).await.unwrap();
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}

/// Also where the browser hangs up meanwhile: the thread that draws goes on, with the picture and its turn.
#[test]
fn a_picture_has_its_turn_and_its_memory_until_it_is_drawn() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (go, busy) = std::sync::mpsc::channel::<()>();
    // Whoever draws waits behind this one.
    runtime.spawn_blocking(move || busy.recv());
    runtime.block_on(async {
        let thumbnails = thumbnails();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/a.png", listener.local_addr().unwrap());
        tokio::spawn(serve(listener));
        let drawing = {
            let thumbnails = thumbnails.clone();
            tokio::spawn(async move { thumbnails.make(&url, Size::Small).await })
        };
        let decoders = &thumbnails.decoders;
        until(|| decoders.available_permits() == 0).await;

        drawing.abort();
        assert!(drawing.await.unwrap_err().is_cancelled());
        assert_eq!(decoders.available_permits(), 0, "it is still to be drawn");
        assert!(thumbnails.downloader.room().now_or_never().is_none(), "and its bytes are there");

        go.send(()).unwrap();
        until(|| decoders.available_permits() == 1).await;
        until(|| thumbnails.downloader.room().now_or_never().is_some()).await;
    });
}
