//! The controller's process as a person or a kubelet meets it: its end, its log's colours and words, and what a
//! Prometheus reads of it.

use std::{
    env,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use serin_e2e_apiserver::eventually;

use crate::controller::{NAMESPACE, options, until_phase, world};
use crate::pods::Pods;
use crate::program::{Program, program};
use crate::scraping::Prometheus;

/// As a shell says of what Ctrl-C ended.
const INTERRUPTED: i32 = 130;
const ALONE: [&str; 1] = ["--leader-elect=false"];

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = world();
    let mut program = Program::start(server.kubeconfig(), "default", "x", &[]);
    program.until_logged("leading");
    // Nobody answers any more: the first signal is waited for, but not for ever.
    let api = Pid::from_raw(server.pids()[1].cast_signed()).expect("a process");
    kill_process(api, Signal::STOP).expect("it stops");
    program.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(500));
    assert!(program.is_running(), "it has ended by itself: the second signal shows nothing");
    program.signal(Signal::INT);
    let (status, took) = program.end();
    kill_process(api, Signal::CONT).expect("it goes on");
    eprintln!("ended {took:?} after the second signal");
    assert_eq!(status.code(), Some(INTERRUPTED));
}

#[test]
fn its_log_is_json_line_by_line_and_follows_the_level() {
    let server = world();
    let args = [&["--log-format", "json"][..], &ALONE[..]].concat();
    let program = Program::start(server.kubeconfig(), "default", "x", &args);
    program.until_logged(r#""msg":"leading""#);
    let changed = || program.lines().iter().filter(|it| it.contains("filter was changed")).count();
    let put = |level: &str| assert_eq!(program.ask("PUT", "/loglevel", &[], level).0, 200);
    put("error");
    assert_eq!(changed(), 0, "it is told at a level that is not written");
    put("debug");
    eventually("the change to be told", || changed() == 1).expect("it is");
    for line in program.lines() {
        let object: Value =
            serde_json::from_str(&line).unwrap_or_else(|why| panic!("{line}: {why}"));
        let level = object["level"].as_str().unwrap_or_default();
        assert!(["debug", "info", "warn", "error"].contains(&level), "{line}");
        let at = object["ts"].as_str().and_then(|it| it.parse::<jiff::Timestamp>().ok());
        assert!(at.is_some() && object["msg"].is_string(), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}

/// What it logs to a terminal.
fn on_a_terminal(no_color: &str) -> String {
    let module = options().installation.module;
    let command = format!("{} --module {}", program().display(), module.url());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    // There is no such cluster, so that it ends with an error.
    script.env("KUBECONFIG", "/dev/null/none").env("NO_COLOR", no_color);
    script.env_remove("KUBERNETES_SERVICE_HOST").stdin(Stdio::null());
    let output = script.output().expect("script of util-linux is there");
    assert!(!output.status.success(), "it has found a cluster");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn colours_are_for_terminals_whose_owner_wants_them() {
    let (coloured, plain) = (on_a_terminal(""), on_a_terminal("1"));
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    assert!(!plain.contains('\u{1b}') && plain.contains("ERROR"), "{plain}");
}

fn ask(prometheus: &Prometheus, query: &str) -> Option<Value> {
    let request = ureq::get(format!("{}/api/v1/query", prometheus.address));
    let text = request.query("query", query).call().ok()?.body_mut().read_to_string().ok()?;
    serde_json::from_str::<Value>(&text).ok()?.pointer("/data/result").cloned()
}

#[test]
#[ignore = "needs a Prometheus: SERIN_PROMETHEUS=PROGRAM"]
fn a_prometheus_reads_its_metrics() {
    let given = env::var("SERIN_PROMETHEUS").expect("SERIN_PROMETHEUS names a program");
    let server = world();
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let program = Program::start(server.kubeconfig(), "default", "x", &ALONE);
    until_phase(&server, "Initialized");
    let prometheus = Prometheus::scraping(&program.admin(), &given);
    for (query, value) in [
        ("up", "1"),
        ("serin_leader", "1"),
        (r#"flagger_canary_status{name="shop",exported_namespace="",namespace="prod"}"#, "1"),
        (r#"flagger_canary_weight{workload="shop-primary"}"#, "100"),
        ("sum(serin_api_requests_total) > bool 10", "1"),
        ("sum(flagger_canary_duration_seconds_bucket{le=\"+Inf\"}) > bool 0", "1"),
    ] {
        let is = || {
            let result = ask(&prometheus, query).unwrap_or_default();
            result[0]["value"][1] == value && result.as_array().is_some_and(|all| all.len() == 1)
        };
        if let Err(error) = eventually(query, is) {
            panic!("{error:#}: {:#?}", ask(&prometheus, query));
        }
    }
    // What of a scrape it could not read would be missing from this.
    let (_, text) = program.get("/metrics");
    let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    let scraped = ask(&prometheus, "scrape_samples_scraped").expect("an answer");
    let scraped: usize = scraped[0]["value"][1].as_str().expect("a number").parse().expect("whole");
    eprintln!("{scraped} samples scraped, {series} series in the text");
    assert!(scraped > 20, "{scraped}");
}
