//! One preprocessing: training reads the pixels that the worker sees, and the fast
//! decode shows the models what a full one would.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tagfleet_loadtest::agreement::compare_with;
use tagfleet_loadtest::draw::any_picture;
use tagfleet_shared::config;
use tagfleet_tests::{Process, Services, jpeg, lying_jpeg, pixels, repository, tell};
use tagfleet_worker::config::{DEFAULTS, TaggingConfig};
use tagfleet_worker::decode::{Decoder, InputSize};

pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tagfleet-{name}-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("pictures")).unwrap();
    folder
}

/// `tagfleet-worker preprocess` with these sizes, the first for the array.
pub fn preprocess(sizes: &[InputSize], out: &Path) -> Command {
    let mut command = Process::command("tagfleet-worker");
    command.arg("preprocess").arg("--out").arg(out);
    for (flag, size) in ["--size"].into_iter().chain(std::iter::repeat("--also-size")).zip(sizes) {
        command.args([flag, &format!("{}x{}", size.height, size.width)]);
    }
    command
}

/// Runs it: the shape of the array, its rows, and the lines beside it.
pub fn array_of(mut command: Command, out: &Path) -> (String, Vec<Vec<u8>>, Vec<Value>) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let list = std::fs::read_to_string(format!("{}.jsonl", out.display())).unwrap();
    let lines: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let array = std::fs::read(out).unwrap();
    let (shape, data) = read_array(&array);
    let rows = data.chunks(data.len() / lines.len()).map(<[u8]>::to_vec).collect();
    (shape, rows, lines)
}

pub fn settings() -> TaggingConfig {
    let models = repository().join("models/default");
    let settings = [
        ("TAGFLEET__MODELS__DIR", models.display().to_string()),
        ("TAGFLEET__RUNTIME__LIBRARY", Services::shared().onnxruntime.display().to_string()),
    ];
    config::load(DEFAULTS, None, settings.map(|(name, value)| (name.to_owned(), value))).unwrap().config
}

/// What `numpy.load` would read: the shape as it is written, and the data.
fn read_array(bytes: &[u8]) -> (String, &[u8]) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..end]).unwrap();
    let shape = header.split_once("'shape': ").unwrap().1.split_once(')').unwrap().0;
    (format!("{shape})"), &bytes[end..])
}

#[test]
fn training_reads_the_pixels_that_the_worker_sees() {
    let folder = folder("preprocess");
    let pictures = folder.join("pictures");
    let size = InputSize { height: 96, width: 128 };
    std::fs::write(pictures.join("a.jpg"), jpeg()).unwrap();
    std::fs::write(pictures.join("b.jpg"), [0x99; 400]).unwrap();
    std::fs::write(pictures.join("c.png"), any_picture(7, 2, None).bytes).unwrap();
    std::fs::write(pictures.join("d.jpg"), lying_jpeg(&pixels(&jpeg()), 6)).unwrap();

    let out = folder.join("pixels.npy");
    let mut command = preprocess(&[size], &out);
    command.arg(&pictures).arg("missing.jpg");
    let (shape, rows, lines) = array_of(command, &out);

    assert_eq!(shape, "(5, 96, 128, 3)");
    assert_eq!((rows.len(), lines.len()), (5, 5));
    let TaggingConfig(config) = settings();
    let worker = Decoder::new(vec![size], config.decode);
    for (row, name) in [(0, "a.jpg"), (2, "c.png"), (3, "d.jpg")] {
        let pixels = worker.decode(&std::fs::read(pictures.join(name)).unwrap()).unwrap();
        assert_eq!(rows[row], pixels.plane(size).unwrap(), "{name}");
        assert_eq!(lines[row]["path"], pictures.join(name).display().to_string());
        assert_eq!((&lines[row]["width"], &lines[row]["row"]), (&json!(pixels.width()), &json!(row)));
    }
    assert_eq!(
        (&lines[3]["width"], &lines[3]["height"]),
        (&json!(320), &json!(240)),
        "it was turned upright"
    );
    for (row, reason) in [(1, "unknown_format"), (4, "unreadable")] {
        assert_eq!(lines[row]["reason"], reason, "{}", lines[row]);
        assert!(rows[row].iter().all(|&byte| byte == 0), "{reason}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What a worker would not give to its models has no pixels, and the same reason.
#[test]
fn training_reads_nothing_that_the_worker_would_not_decode() {
    let folder = folder("refused-files");
    let pictures = folder.join("pictures");
    let picture = jpeg();
    let one_more = [&picture[..], b"\n"].concat();
    for (name, bytes) in [
        ("a.jpg", &picture[..]),
        ("b.jpg", &one_more),
        ("c.jpg", b"<html>no such picture</html>"),
        ("d.jpg", b""),
    ] {
        std::fs::write(pictures.join(name), bytes).unwrap();
    }

    let out = folder.join("pixels.npy");
    let mut command = preprocess(&[InputSize { height: 8, width: 8 }], &out);
    command.arg(&pictures).env("TAGFLEET__DOWNLOAD__MAX_BYTES", picture.len().to_string());
    let (_, rows, lines) = array_of(command, &out);
    let tagged = Process::command("tagfleet-worker")
        .args(["tag", "--models", "models/default"])
        .arg(&pictures)
        .env("ORT_DYLIB_PATH", Services::shared().onnxruntime)
        .env("TAGFLEET__DOWNLOAD__MAX_BYTES", picture.len().to_string())
        .output()
        .unwrap();

    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap_or("none")).collect();
    assert_eq!(reasons, ["none", "too_large", "not_an_image", "empty"]);
    assert!(rows[1..].iter().flatten().all(|&byte| byte == 0));
    for line in String::from_utf8(tagged.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let same = lines.iter().find(|of| of["path"] == line["source"]).unwrap();
        assert_eq!(same["reason"], line["reason"], "{line}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// `make bench SCENARIO=decode_agreement` says it of many more pictures.
#[test]
fn a_scaled_decode_has_the_top_1_of_a_full_one() {
    let TaggingConfig(config) = settings();
    let drawn = |number| Some(any_picture(11, number as u64, None).bytes);
    let agreement = compare_with(&config, 300, drawn).unwrap();
    tell(&format!(
        "scaled and full decode: same top-1 of {} of {} drawn JPEGs, scores differ by {} at most",
        agreement.agree, agreement.pictures, agreement.largest_difference
    ));
    assert!(agreement.pictures > 200, "{agreement:?}");
    assert!(agreement.percent() >= 99.5, "{agreement:?}");
}
