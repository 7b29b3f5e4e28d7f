mod embeddings;
mod loading;
mod manifests;
mod sets;

use std::path::PathBuf;

use futures::future::join_all;
use ort::ep::{self, ExecutionProvider};
use prometheus::Registry;

use self::sets::{Folder, MANIFEST, loader, model, open};
use super::*;
use crate::inference::Inference;
use crate::metrics::Metrics;
use crate::outcome::Unanswered;

const RED: [u8; 3] = [255, 0, 0];
/// Red by 0.8126, and light by 0.9721.
const LIGHT_RED: [u8; 3] = [255, 200, 200];
const BLUE: [u8; 3] = [0, 0, 255];
const GRAY: [u8; 3] = [100, 100, 100];

/// A picture of one colour, in the sizes of both stages.
fn picture(rgb: [u8; 3]) -> Pixels {
    Pixels::filled(&[InputSize { height: 4, width: 4 }, InputSize { height: 8, width: 8 }], rgb)
}

/// Why the set in `folder` cannot be loaded.
fn problems(folder: &Folder) -> Vec<String> {
    loader().load(folder.path()).err().map_or_else(Vec::new, |error| error.problems)
}

fn answers(model: &mut OnnxModel, colours: &[[u8; 3]]) -> Vec<String> {
    let pictures: Vec<_> = colours.iter().map(|rgb| picture(*rgb)).collect();
    let answers = model.run(&pictures.iter().collect::<Vec<_>>()).unwrap();
    answers.iter().map(|answer| serde_json::to_string(answer).unwrap()).collect()
}

/// Worked out by hand: red leads by 10, which is 1 / (1 + 2 / e^10) or 0.9999; dark
/// leads by 10/3, which is 1 / (1 + e^(-10/3)) or 0.9656.
#[test]
fn every_attribute_that_applies_has_a_value_and_a_score() {
    assert_eq!(
        answers(&mut model(), &[RED]),
        [concat!(
            r#"{"tags":{"broken":null,"channel":"red","lightness":"dark","shade":"deep"},"#,
            r#""scores":{"channel":0.9999,"lightness":0.9656,"shade":0.9656}}"#
        )]
    );
}

/// A stage whose condition does not hold says nothing: null, and no score.
#[test]
fn a_stage_runs_only_for_the_pictures_it_is_meant_for() {
    assert_eq!(
        answers(&mut model(), &[BLUE]),
        [concat!(
            r#"{"tags":{"broken":null,"channel":"blue","lightness":"dark","shade":null},"#,
            r#""scores":{"channel":0.9999,"lightness":0.9656}}"#
        )]
    );
}

/// Gray is none of the three, but as much red or green as 0.6667: warm enough for
/// what asks for warm pictures.
#[test]
fn a_rolled_up_value_counts_where_a_condition_asks_for_it() {
    let manifest = MANIFEST
        .replace(r#"["red", "green", "blue"]"#, r#"["warm/red", "warm/green", "blue"]"#)
        .replace(r#"default = "green""#, r#"default = "blue""#)
        .replace(r#"["red", "blue"]"#, r#"["warm"]"#)
        .replace(r#"channel = ["red"]"#, r#"channel = ["warm"]"#);
    let mut model = OnnxModel::load(&Folder::new(&manifest).set(), &open(Device::Cpu).unwrap(), 8).unwrap();
    let answers = answers(&mut model, &[RED, GRAY, BLUE]);
    assert!(answers[0].contains(r#""channel":"warm/red""#) && answers[0].contains(r#""shade":"deep""#));
    assert!(answers[1].contains(r#""channel":"warm""#) && answers[1].contains(r#""shade":"deep""#));
    assert!(answers[1].contains(r#""channel":0.6667"#), "{}", answers[1]);
    assert!(answers[2].contains(r#""channel":"blue""#) && answers[2].contains(r#""shade":null"#));
}

/// The score is told all the same; what depends on the value does not apply.
#[test]
fn a_class_below_its_least_score_answers_null() {
    assert_eq!(
        answers(&mut model(), &[GRAY]),
        [concat!(
            r#"{"tags":{"broken":null,"channel":null,"lightness":null,"shade":null},"#,
            r#""scores":{"channel":0.3333}}"#
        )]
    );
}

#[test]
fn answers_come_in_the_order_of_the_batch() {
    let mut model = model();
    let batch = [RED, BLUE, GRAY, RED, [0, 255, 0], [255; 3], BLUE];
    let one_by_one: Vec<_> = batch.iter().flat_map(|colour| answers(&mut model, &[*colour])).collect();

    assert_eq!(answers(&mut model, &batch), one_by_one);
    assert!(answers(&mut model, &[]).is_empty());
}

#[test]
fn two_attributes_may_share_an_output() {
    let manifest = MANIFEST
        .replace(r#"output = "broken""#, r#"output = "shade""#)
        .replace("\napplies_when = { lightness = [\"light\"] }", "");
    let mut model = OnnxModel::load(&Folder::new(&manifest).set(), &open(Device::Cpu).unwrap(), 8).unwrap();

    assert!(answers(&mut model, &[RED])[0].contains(r#""broken":"one""#));
}

#[test]
fn a_picture_of_the_wrong_size_fails_the_run() {
    let small = Pixels::filled(&[InputSize { height: 4, width: 4 }], RED);
    let error = model().run(&[&small]).unwrap_err();
    assert_eq!(error.to_string(), "stage first: a picture has no plane of 8x8");
}

/// Nothing is said of such a picture: what is no answer is never cached as one.
#[test]
fn logits_that_are_not_finite_are_no_answer() {
    let error = model().run(&[&picture(LIGHT_RED)]).unwrap_err();
    assert_eq!(error.to_string(), "stage second: a logit in broken is not finite");
}

#[tokio::test]
async fn a_picture_without_an_answer_does_not_harm_its_batch_mates() {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let sizes = Folder::new(MANIFEST).set().input_sizes();
    let inference = Inference::start(vec![model()], &sizes, 8, &metrics).unwrap();
    let batch = [RED, LIGHT_RED, BLUE, GRAY];
    let said = join_all(batch.map(|rgb| inference.infer(picture(rgb)))).await;

    let failed = "stage second: a logit in broken is not finite".to_owned();
    assert_eq!(said[1], Err(Unanswered::Picture(failed)));
    let mates =
        [&said[0], &said[2], &said[3]].map(|said| serde_json::to_string(said.as_ref().unwrap()).unwrap());
    assert_eq!(mates[..], answers(&mut model(), &[RED, BLUE, GRAY]));
    assert!(inference.is_well());
}

#[test]
fn a_graph_that_is_not_what_the_manifest_says_is_told_in_full() {
    let manifest = MANIFEST
        .replace("height = 8, width = 8", "height = 8, width = 9")
        .replace(r#"["dark", "light"]"#, r#"["dark", "light", "glaring"]"#)
        .replace(r#"name = "images", height = 4"#, r#"name = "pictures", height = 4"#)
        .replace(r#"output = "shade""#, r#"output = "shades""#);
    let error = OnnxModel::load(&Folder::new(&manifest).set(), &open(Device::Cpu).unwrap(), 8).err().unwrap();
    assert_eq!(
        error.to_string().lines().map(str::trim).collect::<Vec<_>>(),
        [
            r#"model set colours does not fit its manifest:"#,
            r#"stage "first": input "images" is Tensor<u8>(N, 8, 8, 3), not Tensor<u8>(N, 8, 9, 3)"#,
            r#"stage "first": output "lightness" is Tensor<f32>(N, 2), not Tensor<f32>(N, 3)"#,
            r#"stage "second": no input "pictures", but "images""#,
            r#"stage "second": no output "shades", but "shade", "broken""#,
        ]
    );
}

#[test]
fn a_library_that_is_not_there_is_named() {
    let config = RuntimeConfig { library: PathBuf::from("/nowhere/ort.so"), device: Device::Cpu, threads: 1 };
    let error = Runtime::open(&config).unwrap_err().to_string();
    assert_eq!(error, "the ONNX Runtime library /nowhere/ort.so: No such file or directory (os error 2)");
}

#[test]
fn a_file_that_is_no_library_is_named() {
    let folder = Folder::new(MANIFEST);
    let library = folder.path().join("first.onnx");
    let config = RuntimeConfig { library: library.clone(), device: Device::Cpu, threads: 1 };
    let error = Runtime::open(&config).unwrap_err().to_string();
    assert!(error.contains(library.to_str().unwrap()), "{error}");
}

#[test]
fn a_runtime_can_be_opened_twice() {
    assert_eq!(open(Device::Cpu).unwrap().provider(), "cpu");
    assert_eq!(open(Device::Cpu).unwrap().provider(), "cpu");
}

/// ONNX Runtime itself would take the CPU without a word.
#[test]
fn a_gpu_that_cannot_be_had_is_an_error() {
    open(Device::Cpu).unwrap();
    if ep::CUDA::is_available().unwrap() && has_gpu() {
        crate::skip(format_args!("this ONNX Runtime can use CUDA, and there is a GPU"));
        return;
    }
    let error = open(Device::Cuda(0)).unwrap_err().to_string();
    assert!(error.starts_with("cuda:0 cannot be had: "), "{error}");
    assert_eq!(open(Device::Auto).unwrap().provider(), "cpu");
}

/// Where there is a GPU, and an ONNX Runtime that is built for it, it has to work:
/// a broken set-up is a failure, and not a reason to skip.
#[test]
fn a_gpu_gives_the_answers_of_the_cpu() {
    open(Device::Cpu).unwrap();
    if !ep::CUDA::is_available().unwrap() {
        crate::skip(format_args!("this ONNX Runtime is built for the CPU only"));
        return;
    }
    if !has_gpu() {
        crate::skip(format_args!("no GPU in /dev"));
        return;
    }
    let runtime = open(Device::Cuda(0)).unwrap();
    assert_eq!(runtime.provider(), "cuda:0");
    assert_eq!(open(Device::Auto).unwrap().provider(), "cuda:0");
    let mut on_gpu = OnnxModel::load(&Folder::new(MANIFEST).set(), &runtime, 8).unwrap();
    let batch = [RED, BLUE, GRAY];
    assert_eq!(answers(&mut on_gpu, &batch), answers(&mut model(), &batch));
}

fn has_gpu() -> bool {
    let devices = std::fs::read_dir("/dev").into_iter().flatten().filter_map(Result::ok);
    devices.map(|device| device.file_name()).any(|name| {
        let number = name.to_str().and_then(|name| name.strip_prefix("nvidia"));
        name == "dxg" || number.is_some_and(|number| number.parse::<u16>().is_ok())
    })
}
