//! Who may have a state file, and what is believed of it.

use serde_json::{Value, json};
use serin_rollout::Run;

use super::*;
use crate::local::input;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn claim(path: &Path) -> Result<Kept, StateError> {
    StateFile::claim(path, &input::plan(input::SHOP).unwrap(), at(100))
}

fn underway() -> Status {
    let run = Run {
        id: "0123456789abcdef".to_owned(),
        salt: "0123456789abcdef0123456789abcdef".to_owned(),
        nonce: "0123456789abcdef".to_owned(),
        revision: "v2".to_owned(),
        generation: 1,
        started: at(1),
        step_since: at(2),
        ..Run::default()
    };
    Status { phase: Phase::Progressing, run: Some(run), ..Status::default() }
}

/// A directory with a state file in it that nobody has claimed.
fn left(status: &Status) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    claim(&path).unwrap().file.write(status, at(3)).unwrap();
    (directory, path)
}

#[test]
fn only_a_release_under_way_is_carried_on() {
    let (_directory, path) = left(&underway());
    let kept = claim(&path).unwrap();
    assert_eq!((kept.unfinished, kept.written), (Some(underway()), Some(at(3))));
    let over = Status { phase: Phase::Succeeded, ..underway() };
    let (_directory, path) = left(&over);
    assert_eq!(claim(&path).unwrap().unfinished, None);
}

#[test]
fn a_file_belongs_to_one_at_a_time_by_whatever_name() {
    let (directory, path) = left(&underway());
    let mut first = claim(&path).unwrap().file;
    let alias = directory.path().join("alias.json");
    std::os::unix::fs::symlink(&path, &alias).unwrap();
    for name in [&path, &alias] {
        let error = claim(name).unwrap_err();
        assert!(matches!(error, StateError::Taken(_)), "{error}");
    }
    first.write(&underway(), at(4)).unwrap();
    assert!(claim(&path).is_err(), "a replaced file is still taken");
    drop(first);
    claim(&path).unwrap();
}

#[test]
fn a_directory_that_went_is_an_error_and_one_that_returns_is_claimed_anew() {
    let (directory, path) = left(&underway());
    let mut file = claim(&path).unwrap().file;
    std::fs::remove_dir_all(directory.path()).unwrap();
    file.write(&underway(), at(4)).unwrap_err();
    assert!(!directory.path().exists(), "it is not ours to make");
    std::fs::create_dir(directory.path()).unwrap();
    file.write(&underway(), at(5)).unwrap();
    assert!(matches!(claim(&path), Err(StateError::Taken(_))));
}

#[test]
fn what_another_has_claimed_meanwhile_is_not_written() {
    let (directory, path) = left(&underway());
    let mut file = claim(&path).unwrap().file;
    std::fs::remove_file(directory.path().join("state.json.lock")).unwrap();
    let _other = claim(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = file.write(&Status::default(), at(5)).unwrap_err().to_string();
    assert!(error.contains("another serin"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_was_mangled_is_named_and_stays_as_it_is() {
    let cases = [
        ("/status/run/weight", json!(10_001), "status.run.weight"),
        ("/status/run/weight", json!("10"), "status.run.weight"),
        ("/status/phase", json!("Progresing"), "status.phase"),
        ("/status/run/id", json!("x"), "status.run.id"),
        ("/status/run/stepSince", json!("2029-01-01T00:00:00Z"), "status.run.stepSince"),
        ("/status/run", json!({}), "status.run."),
        ("/status/run/wheight", json!(10), "status.run.wheight"),
        ("/written", json!("2029-01-01T00:00:00Z"), "written"),
        ("/version", json!(2), "version"),
        ("/name", json!("cart"), "the release of cart.prod, and this is shop.prod"),
        ("/extra", json!(1), "extra"),
    ];
    for (place, value, words) in cases {
        let (_directory, path) = left(&underway());
        let mut content: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (parent, field) = place.rsplit_once('/').unwrap();
        content.pointer_mut(parent).unwrap()[field] = value;
        let mangled = content.to_string();
        std::fs::write(&path, &mangled).unwrap();
        let error = claim(&path).unwrap_err().to_string();
        assert!(error.contains("state.json") && error.contains(words), "{place}: {error}");
        assert!(!error.contains('\n'), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), mangled);
    }
}

#[test]
fn a_clock_that_was_set_back_since_is_told_by_the_file() {
    let (_directory, path) = left(&underway());
    let plan = input::plan(input::SHOP).unwrap();
    let kept = StateFile::claim(&path, &plan, at(-3_600)).unwrap();
    assert_eq!(kept.written, Some(at(3)));
}

#[test]
fn what_is_no_file_of_status_is_refused() {
    for path in ["/dev/null", "/dev"] {
        let error = claim(Path::new(path)).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
    }
    let (_directory, path) = left(&underway());
    for text in ["", "{", "[]", "{} {}"] {
        std::fs::write(&path, text).unwrap();
        assert!(matches!(claim(&path), Err(StateError::Unsound(..))), "{text:?}");
    }
    let huge = " ".repeat(usize::try_from(bounded::BYTES_MAX).unwrap() + 1);
    std::fs::write(&path, huge).unwrap();
    assert!(claim(&path).unwrap_err().to_string().contains("longer than"));
}
