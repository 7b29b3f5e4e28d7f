//! Embeddings in the database.

use std::collections::BTreeMap;
use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::config;
use tagfleet_shared::ids::ImageId;
use tagfleet_tests::{Fleet, ModelFolder, Options, Process, Services, listed, post, scrape};
use tagfleet_worker::app::App as Worker;
use tagfleet_worker::config as worker;

const RED: [u8; 3] = [255, 0, 0];
const TEAL: [u8; 3] = [0, 128, 129];
const PINK: [u8; 3] = [251, 167, 180];

/// What the output `vector` says of a colour, worked out by hand.
fn vector(rgb: [u8; 3]) -> Vec<f32> {
    let [r, g, b] = rgb.map(|channel| f32::from(channel) / 255.0);
    vec![r, 200.0 * (r - g) + 0.1, -3.0 * b, 1e-6 * g + 1e-7]
}

/// What the output `short` says of a colour, in float16 already.
fn short(rgb: [u8; 3]) -> Vec<f32> {
    let [r, g, b] = rgb.map(|channel| f32::from(channel) / 255.0);
    vec![r + g + b, 2.0 * r - 1.0]
}

fn png(rgb: [u8; 3]) -> Vec<u8> {
    let mut file = Vec::new();
    RgbImage::from_pixel(64, 48, Rgb(rgb)).write_to(&mut Cursor::new(&mut file), ImageFormat::Png).unwrap();
    file
}

/// Puts a picture of one colour on the host; its URL.
fn picture(fleet: &Fleet, path: &str, rgb: [u8; 3]) -> String {
    let body = png(rgb).into();
    fleet.origin.put(path, Response::Bytes { content_type: "image/png", body });
    fleet.origin.url(path)
}

fn storing(folder: &ModelFolder) -> Options {
    let settings = vec![folder.setting(), ("TAGFLEET__MODELS__STORE_EMBEDDINGS", "true".into())];
    Options { settings, ..Options::default() }
}

/// What is stored of an image, by the name of the set: the bytes, read here, which
/// the database reads in the same way.
async fn stored(fleet: &Fleet, url: &str) -> BTreeMap<String, Vec<f32>> {
    let client = fleet.database.pool.get().await.unwrap();
    let sql = "SELECT model_set, dimensions, embedding, float16_numbers(embedding)
                 FROM image_embeddings WHERE image_id = $1";
    let rows = client.query(sql, &[&ImageId::of(None, url).0]).await.unwrap();
    let read = |row: &tokio_postgres::Row| {
        let (dimensions, bytes, in_sql): (i32, Vec<u8>, Vec<f32>) = (row.get(1), row.get(2), row.get(3));
        let halves = bytes.chunks_exact(2).map(|half| u16::from_le_bytes([half[0], half[1]]));
        let numbers: Vec<f32> = halves.map(float16).collect();
        assert_eq!(numbers.len(), dimensions as usize);
        assert_eq!(in_sql, numbers);
        (row.get(0), numbers)
    };
    rows.iter().map(read).collect()
}

/// A finite number of float16, from its bits.
fn float16(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from((bits >> 10) & 31), f32::from(bits & 1023));
    match exponent {
        0 => sign * fraction * 2_f32.powi(-24),
        _ => sign * (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

/// Equal within half precision: half a unit in the last of 11 bits, or of what is subnormal.
fn assert_close(found: &[f32], expected: &[f32]) {
    let close = |(found, expected): (&f32, &f32)| {
        (found - expected).abs() <= 1.01 * (expected.abs() * 2_f32.powi(-11)).max(2_f32.powi(-25))
    };
    let same = found.len() == expected.len() && found.iter().zip(expected).all(close);
    assert!(same, "{found:?} is not {expected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_unless_it_is_asked_for() {
    let folder = ModelFolder::colours("unasked");
    let fleet = Fleet::with(Options { settings: vec![folder.setting()], ..Options::default() }).await;
    let event = scrape("dealer", vec![listed(picture(&fleet, "/red.png", RED))]);

    assert_eq!(fleet.tag(&event).await.outcomes["inferred"], 1);

    assert_eq!(fleet.rows(&event.scrape_id).await[0].tag("channel"), "red");
    assert_eq!(fleet.count("SELECT count(*) FROM embeddings").await, 0);
    fleet.end().await;
}

/// The same bytes under another key have the same embedding, which is there once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_what_the_model_gives_within_half_precision() {
    let folder = ModelFolder::colours("stored");
    let mut fleet = Fleet::with(storing(&folder)).await;
    let colours = [("/red.png", RED), ("/teal.png", TEAL), ("/pink.png", PINK), ("/teal-again.png", TEAL)];
    let urls = colours.map(|(path, rgb)| picture(&fleet, path, rgb));
    let images: Vec<_> = urls.iter().map(listed).collect();
    let outcomes = fleet.tag(&scrape("dealer", images.clone())).await.outcomes;
    assert_eq!((outcomes["inferred"], outcomes["matched"]), (3, 1));

    for ((_, rgb), url) in colours.iter().zip(&urls) {
        assert_close(&stored(&fleet, url).await["colours"], &vector(*rgb));
    }
    assert_eq!(fleet.count("SELECT count(*) FROM embeddings").await, 3);

    // A worker that has seen nothing finds image and bytes in the database.
    fleet.workers.remove(0).stop().await;
    fleet.start_worker().await;
    let later = listed(picture(&fleet, "/pink-again.png", PINK));
    let outcomes = fleet.tag(&scrape("another", [images, vec![later.clone()]].concat())).await.outcomes;
    assert_eq!((outcomes["cached"], outcomes["matched"]), (4, 1));
    assert_close(&stored(&fleet, &later.url).await["colours"], &vector(PINK));
    assert_eq!(fleet.count("SELECT count(*) FROM embeddings").await, 3);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_of_two_sets_are_kept_apart() {
    let folder = ModelFolder::colours("apart");
    let fleet = Fleet::with(storing(&folder)).await;
    let (red, teal) = (picture(&fleet, "/red.png", RED), picture(&fleet, "/teal.png", TEAL));
    fleet.tag(&scrape("dealer", vec![listed(&*red)])).await;

    folder.change(|manifest| {
        manifest.replacen("\"colours\"", "\"second\"", 1).replace("\"vector\"", "\"short\"")
    });
    let (status, body) = post(fleet.workers[0].admin, "/models/reload").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(stored(&fleet, &red).await.into_keys().collect::<Vec<_>>(), ["colours"]);
    fleet.tag(&scrape("dealer", vec![listed(&*red), listed(&*teal)])).await;

    let of_red = stored(&fleet, &red).await;
    assert_eq!(of_red.len(), 2);
    assert_close(&of_red["colours"], &vector(RED));
    assert_close(&of_red["second"], &short(RED));
    let of_teal = stored(&fleet, &teal).await;
    assert_eq!(of_teal.len(), 1);
    assert_close(&of_teal["second"], &short(TEAL));
    fleet.end().await;
}

/// At the start and at a reload: what is not stored now is never made up for.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_to_store_embeddings_refuses_a_set_without_one() {
    const REFUSED: &str = "embeddings are asked for, and no stage names one";
    let folder = ModelFolder::colours("without");
    let fleet = Fleet::with(storing(&folder)).await;
    folder.change(|manifest| manifest.replace("embedding = \"vector\"", ""));

    let (status, body) = post(fleet.workers[0].admin, "/models/reload").await;
    assert_eq!(status, 422, "{body}");
    assert!(body.contains(REFUSED), "{body}");

    let settings = fleet.settings_of_worker();
    let config = config::load(worker::DEFAULTS, None, settings).unwrap().config;
    let error = Worker::build(config).await.err().unwrap();
    assert!(error.to_string().contains(REFUSED), "{error}");
    fleet.end().await;
}

/// An embedding that float16 cannot hold costs its picture nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_whose_embedding_cannot_be_stored_is_tagged() {
    let folder = ModelFolder::colours("loud");
    folder.change(|manifest| manifest.replace("\"vector\"", "\"loud\""));
    let fleet = Fleet::with(storing(&folder)).await;
    let (red, teal) = (picture(&fleet, "/red.png", RED), picture(&fleet, "/teal.png", TEAL));
    let event = scrape("dealer", vec![listed(&*red), listed(&*teal)]);

    assert_eq!(fleet.tag(&event).await.outcomes["inferred"], 2);

    assert_eq!(fleet.rows(&event.scrape_id).await[0].tag("channel"), "red");
    assert!(stored(&fleet, &red).await.is_empty());
    assert_eq!(stored(&fleet, &teal).await["colours"], [1.0]);
    fleet.end().await;
}

#[test]
fn tag_prints_embeddings_where_it_is_asked_to() {
    let folder = ModelFolder::colours("printed");
    let file = folder.path().join("teal.png");
    std::fs::write(&file, png(TEAL)).unwrap();
    let tag = |options: &[&str]| {
        let mut command = Process::command("tagfleet-worker");
        command.arg("tag").arg("--models").arg(folder.path()).args(options).arg(&file);
        command.env("ORT_DYLIB_PATH", Services::shared().onnxruntime);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };

    assert_eq!(tag(&[]).get("embedding"), None);
    let printed: Vec<f32> = serde_json::from_value(tag(&["--embeddings"])["embedding"].clone()).unwrap();
    assert_close(&printed, &vector(TEAL));
}
