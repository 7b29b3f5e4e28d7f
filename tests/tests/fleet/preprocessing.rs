//! One preprocessing: training reads the pixels that the worker sees, and the fast
//! decode shows the models what a full one would.

use std::path::PathBuf;

use serde_json::{Value, json};
use tagfleet_loadtest::agreement::compare_with;
use tagfleet_loadtest::draw::any_picture;
use tagfleet_shared::config;
use tagfleet_tests::{Process, Services, jpeg, repository};
use tagfleet_worker::config::{DEFAULTS, TaggingConfig};
use tagfleet_worker::decode::{Decoder, InputSize};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tagfleet-{name}-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("pictures")).unwrap();
    folder
}

fn settings() -> TaggingConfig {
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
    std::fs::write(pictures.join("b.jpg"), "<html>").unwrap();
    std::fs::write(pictures.join("c.png"), any_picture(7, 2, None).bytes).unwrap();
    let upright = jpeg();
    // EXIF orientation 6: the picture lies on its side.
    let exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    std::fs::write(pictures.join("d.jpg"), [&upright[..2], exif, &upright[2..]].concat()).unwrap();

    let out = folder.join("pixels.npy");
    let done = Process::command("tagfleet-worker")
        .args(["preprocess", "--size", "96x128", "--out"])
        .arg(&out)
        .arg(&pictures)
        .arg("missing.jpg")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let array = std::fs::read(&out).unwrap();
    let list = std::fs::read_to_string(folder.join("pixels.npy.jsonl")).unwrap();

    let (shape, data) = read_array(&array);
    assert_eq!(shape, "(5, 96, 128, 3)");
    let rows: Vec<_> = data.chunks(96 * 128 * 3).collect();
    let lines: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
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
        (&json!(240), &json!(320)),
        "it was turned upright"
    );
    for (row, reason) in [(1, "unknown_format"), (4, "unreadable")] {
        assert_eq!(lines[row]["reason"], reason, "{}", lines[row]);
        assert!(rows[row].iter().all(|&byte| byte == 0), "{reason}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// `make bench SCENARIO=decode_agreement` says it of many more pictures.
#[test]
fn a_scaled_decode_has_the_top_1_of_a_full_one() {
    let TaggingConfig(config) = settings();
    let drawn = |number| Some(any_picture(11, number as u64, None).bytes);
    let agreement = compare_with(&config, 40, drawn).unwrap();
    assert!(agreement.pictures > 30, "{agreement:?}");
    assert!(agreement.agree + 1 >= agreement.pictures, "one may lie between two colours: {agreement:?}");
}
