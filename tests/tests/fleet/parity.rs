//! What training saw is what the worker sees, in every format that listings come in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;
use tagfleet_loadtest::draw::{ImageType, Size, any_picture};
use tagfleet_loadtest::origin::Response;
use tagfleet_shared::tags::{Scores, Tags};
use tagfleet_tests::{
    CHAIN_SIZE, Fleet, ModelFolder, Options, Process, Services, every_format, listed, scrape, tell,
    with_second_stage, without_thresholds,
};
use tagfleet_worker::config::TaggingConfig;
use tagfleet_worker::decode::{InputSize, Pixels};
use tagfleet_worker::model::{Model, ModelSet, OnnxModel, Runtime};
use tokio_postgres::types::Json;

use crate::preprocessing::{array_of, folder, preprocess, settings};

/// The input of the default set.
const DEFAULT_SIZE: InputSize = InputSize { height: 224, width: 224 };

/// The most that a score may differ: four times what it is rounded by.
const CLOSE: f32 = 1e-3;

/// What models say of a file, by its name.
type Said = BTreeMap<String, (Tags, Scores)>;

/// A photo, a stock picture and a card, each in every format.
static PICTURES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let types = [ImageType::Dealer, ImageType::Stock, ImageType::Placeholder];
    let in_formats = types.into_iter().flat_map(|image_type| {
        let mut drawn = (0..).map(|number| any_picture(31, number, Some(Size::new(640, 480))));
        let picture = drawn.find(|drawn| drawn.truth.image_type == image_type).unwrap();
        let files = every_format(&picture.bytes).into_iter();
        files.map(move |(name, bytes)| (format!("{image_type}-{name}"), bytes))
    });
    in_formats.collect()
});

/// Writes those whose names begin with `prefix`.
fn write_pictures(folder: &Path, prefix: &str) {
    for (name, bytes) in PICTURES.iter().filter(|(name, _)| name.starts_with(prefix)) {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

fn name_of(path: &Value) -> String {
    Path::new(path.as_str().unwrap()).file_name().unwrap().to_string_lossy().into_owned()
}

/// The planes of every file as `tagfleet-worker preprocess` writes them, one run
/// for each size.
fn written(sizes: &[InputSize], folder: &Path) -> BTreeMap<String, Pixels> {
    let mut planes = BTreeMap::<String, Vec<_>>::new();
    for turn in 0..sizes.len() {
        let mut sizes = sizes.to_vec();
        sizes.rotate_left(turn);
        let out = folder.join("pixels.npy");
        let mut command = preprocess(&sizes, &out);
        command.arg(folder.join("pictures"));
        let (_, rows, lines) = array_of(command, &out);
        for (row, line) in rows.into_iter().zip(lines) {
            assert!(line.get("reason").is_none(), "{line}");
            planes.entry(name_of(&line["path"])).or_default().push((sizes[0], row.into()));
        }
    }
    planes.into_iter().map(|(name, planes)| (name, Pixels::of(planes).unwrap())).collect()
}

/// What the models say of those planes.
fn by_training(set: &ModelFolder, pictures: &BTreeMap<String, Pixels>) -> Said {
    let TaggingConfig(config) = settings();
    let set = ModelSet::load(set.path()).unwrap();
    let mut model = OnnxModel::load(&set, &Runtime::open(&config.runtime).unwrap(), 1).unwrap();
    let mut said = |pixels| model.run(&[pixels]).unwrap().remove(0);
    let said = pictures.iter().map(|(name, pixels)| (name.clone(), said(pixels)));
    said.map(|(name, answer)| (name, (answer.tags, answer.scores))).collect()
}

/// What `tagfleet-worker tag` says of the files.
fn by_command(set: &ModelFolder, pictures: &Path) -> Said {
    let mut command = Process::command("tagfleet-worker");
    command.arg("tag").arg("--models").arg(set.path()).arg(pictures);
    let done = command.env("ORT_DYLIB_PATH", Services::shared().onnxruntime).output().unwrap();
    let lines = String::from_utf8(done.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| {
            assert_eq!(line["outcome"], "inferred", "{line}");
            let of = |key: &str| line[key].clone();
            let tags = serde_json::from_value(of("tags")).unwrap();
            (name_of(&line["source"]), (tags, serde_json::from_value(of("scores")).unwrap()))
        })
        .collect()
}

/// What stands in `image_tags` after a scrape of the files.
async fn by_fleet(set: &ModelFolder, pictures: &Path) -> Said {
    let fleet = Fleet::with(Options { settings: vec![set.setting()], ..Options::default() }).await;
    let mut images = Vec::new();
    for file in std::fs::read_dir(pictures).unwrap().map(Result::unwrap) {
        let path = format!("/{}", file.file_name().to_string_lossy());
        // The content type of all of them is that of a JPEG, and decides nothing.
        fleet.origin.put(&path, Response::jpeg(std::fs::read(file.path()).unwrap()));
        images.push(listed(fleet.origin.url(&path)));
    }
    // A few at a time: a busy machine takes a while for a picture.
    for images in images.chunks(11) {
        let tagged = fleet.tag(&scrape("dealer", images.to_vec())).await;
        assert_eq!(tagged.outcomes["inferred"], images.len() as u64, "{:?}", tagged.outcomes);
    }
    let client = fleet.database.pool.get().await.unwrap();
    let sql = "SELECT i.url, t.tags, t.scores FROM tagged_images i JOIN image_tags t USING (image_id)";
    let rows = client.query(sql, &[]).await.unwrap();
    drop(client);
    fleet.end().await;
    let row = |row: &tokio_postgres::Row| {
        let (url, Json(tags), Json(scores)): (&str, Json<Tags>, Json<Scores>) =
            (row.get(0), row.get(1), row.get(2));
        (url.rsplit('/').next().unwrap().to_owned(), (tags, scores))
    };
    rows.iter().map(row).collect()
}

/// The same top-1 of every attribute of every file; the largest difference of a score.
fn largest_difference(trained: &Said, served: &Said) -> f32 {
    assert_eq!(trained.keys().collect::<Vec<_>>(), served.keys().collect::<Vec<_>>());
    let mut largest = 0.0_f32;
    for (name, (tags, scores)) in trained {
        let (served_tags, served_scores) = &served[name];
        assert_eq!(tags, served_tags, "{name}: {scores:?} {served_scores:?}");
        assert_eq!(scores.0.len(), served_scores.0.len(), "{name}");
        for (attribute, score) in &scores.0 {
            largest = largest.max((score - served_scores.0[attribute]).abs());
        }
    }
    largest
}

/// Compares all three on a set with these input sizes.
async fn compare(name: &str, set: &ModelFolder, sizes: &[InputSize]) {
    let folder = folder(name);
    let pictures = folder.join("pictures");
    write_pictures(&pictures, "");
    let trained = by_training(set, &written(sizes, &folder));
    let tagged = largest_difference(&trained, &by_command(set, &pictures));
    let fleet = largest_difference(&trained, &by_fleet(set, &pictures).await);
    std::fs::remove_dir_all(&folder).unwrap();

    tell(&format!(
        "{name}: same top-1 for training, tag and fleet on all {} files; scores differ by {} and {} at most",
        trained.len(),
        tagged,
        fleet
    ));
    assert!(trained.len() >= 60, "{} files", trained.len());
    assert!(tagged <= CLOSE && fleet <= CLOSE, "{tagged} {fleet}");
}

#[tokio::test(flavor = "multi_thread")]
async fn training_and_serving_come_to_the_same_tags_and_scores() {
    let set = ModelFolder::new("parity-set");
    without_thresholds(&set);
    compare("parity", &set, &[DEFAULT_SIZE]).await;
}

/// With two input sizes each of the models has to be trained with the other's named.
#[tokio::test(flavor = "multi_thread")]
async fn training_and_serving_come_to_the_same_for_a_set_of_two_input_sizes() {
    let set = ModelFolder::new("parity-chain-set");
    without_thresholds(&set);
    with_second_stage(&set);
    compare("parity-chain", &set, &[DEFAULT_SIZE, CHAIN_SIZE]).await;
}

/// The larger input has the picture decoded more finely, and the smaller one is
/// made of that: what `--also-size` is there for.
#[test]
fn the_largest_input_size_decides_for_all() {
    let folder = folder("largest-size");
    write_pictures(&folder.join("pictures"), "Dealer-plain");
    write_pictures(&folder.join("pictures"), "Dealer-baseline");
    let alone = written(&[DEFAULT_SIZE], &folder);
    let together = written(&[DEFAULT_SIZE, CHAIN_SIZE], &folder);
    std::fs::remove_dir_all(&folder).unwrap();

    for (name, scaled) in [("Dealer-baseline.jpg", true), ("Dealer-plain.png", false)] {
        let differ = alone[name].plane(DEFAULT_SIZE) != together[name].plane(DEFAULT_SIZE);
        assert_eq!(differ, scaled, "{name}");
    }
}
