//! `tagfleet-worker tag`: the pipeline without queue and database.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;
use tagfleet_loadtest::origin::{Content, Origin, Response};
use tagfleet_tests::{Process, Services, jpeg, repository};

fn lines(stdout: &[u8]) -> Vec<Value> {
    let mut lines: Vec<Value> =
        String::from_utf8_lossy(stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["source"].to_string());
    lines
}

fn tag() -> std::process::Command {
    let mut command = Process::command("tagfleet-worker");
    command.arg("tag").arg("--models").arg(repository().join("models/default"));
    command.env("ORT_DYLIB_PATH", Services::shared().onnxruntime);
    command
}

#[test]
fn files_folders_and_bad_inputs_each_have_their_line() {
    let dir = std::env::temp_dir().join(format!("tagfleet-tag-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("deep")).unwrap();
    let picture = jpeg();
    std::fs::write(dir.join("a.jpg"), &picture).unwrap();
    std::fs::write(dir.join("deep/same.jpg"), &picture).unwrap();
    std::fs::write(dir.join("broken.jpg"), [0x99; 400]).unwrap();
    std::fs::write(dir.join("page.jpg"), "<html>").unwrap();
    let output = tag().arg(&dir).arg("missing.jpg").output().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = lines(&output.stdout);
    let of = |name: &str| lines.iter().find(|line| line["source"].as_str().unwrap().ends_with(name)).unwrap();
    assert_eq!(lines.len(), 5);
    let ends = ["a.jpg", "same.jpg"].map(|name| of(name)["outcome"].as_str().unwrap());
    assert!(ends == ["inferred", "matched"] || ends == ["matched", "inferred"], "{ends:?}");
    assert!(of("a.jpg")["tags"]["image_type"].is_string());
    assert!(of("a.jpg")["scores"]["image_type"].as_f64().unwrap() > 0.3);
    assert_eq!(
        (&of("broken.jpg")["outcome"], &of("broken.jpg")["reason"]),
        (&"defaulted".into(), &"unknown_format".into())
    );
    assert_eq!(of("broken.jpg")["tags"], serde_json::json!({"color": null, "image_type": "Placeholder"}));
    assert_eq!(of("page.jpg")["reason"], "not_an_image");
    assert_eq!(
        (&of("missing.jpg")["outcome"], &of("missing.jpg")["reason"]),
        (&"skipped".into(), &"gone".into())
    );
}

#[test]
fn stdin_gives_urls_as_ndjson() {
    let origin = Origin::start(Content::Nothing).unwrap();
    origin.put("/a.jpg", Response::jpeg(jpeg()));
    let mut child = tag()
        .args(["-", "--allow-network", "127.0.0.1/32"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, r#"{{"url": "{}", "listing_id": "7"}}"#, origin.url("/a.jpg")).unwrap();
    writeln!(stdin, r#"{{"uri": "what"}}"#).unwrap();
    writeln!(stdin, "{}", origin.url("/gone.jpg")).unwrap();
    drop(stdin);
    let lines = lines(&child.wait_with_output().unwrap().stdout);

    let ends: Vec<_> = lines
        .iter()
        .map(|line| (line["outcome"].as_str().unwrap(), line["reason"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(ends, [("skipped", "malformed_line"), ("inferred", ""), ("skipped", "gone")]);
}

#[test]
fn an_address_that_is_not_public_is_refused_unless_it_is_allowed() {
    let output = tag().arg("http://127.0.0.1:9090/a.jpg").output().unwrap();
    assert_eq!(lines(&output.stdout)[0]["reason"], "forbidden_address");
}

#[test]
fn a_table_is_for_people() {
    let dir = std::env::temp_dir().join(format!("tagfleet-table-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("a.jpg"), jpeg()).unwrap();
    let output = tag().arg(&dir).args(["missing.jpg", "--format", "table"]).output().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();

    let text = String::from_utf8_lossy(&output.stdout);
    let columns = |name: &str| -> Vec<&str> {
        text.lines().find(|line| line.contains(name)).unwrap().split_whitespace().skip(1).collect()
    };
    assert_eq!(columns("missing.jpg"), ["skipped", "(gone)"]);
    let tagged = columns("a.jpg");
    assert_eq!(tagged[0], "inferred");
    assert!(tagged[1].starts_with("color=") && text.contains("image_type="), "{text}");
    assert!(text.contains(" %)"), "with scores: {text}");
}
