//! The admin port: health, metrics as Flagger's users know them, and the log's level.

use std::{sync::Arc, time::Instant};

use serde_json::json;
use serin_e2e_apiserver::{eventually, is};

use crate::controller::{deployment, make, the_canary, until_phase, world};
use crate::pods::Pods;
use crate::program::Program;

fn until(program: &Program, series: &str, value: Option<f64>) {
    let so = || program.series(series) == value;
    if let Err(error) = eventually(&format!("{series} to be {value:?}"), so) {
        panic!("{error:#}:\n{}", program.get("/metrics").1);
    }
}

#[test]
fn dashboards_follow_a_release_and_forget_a_canary_that_is_gone() {
    let server = world();
    let _pods = Pods::ready_in(&server, "prod");
    let program = Program::start(server.kubeconfig(), "prod", "x", &["--leader-elect=false"]);
    until_phase(&server, "Initialized");
    let status = r#"flagger_canary_status{name="shop",namespace="prod"}"#;
    until(&program, status, Some(1.0));
    for (series, value) in [
        (r#"flagger_info{version="0.1.0",mesh_provider="istio"}"#, 1.0),
        (r#"flagger_canary_total{namespace="prod"}"#, 1.0),
        (r#"flagger_canary_weight{workload="shop-primary",namespace="prod"}"#, 100.0),
        (r#"flagger_canary_weight{workload="shop",namespace="prod"}"#, 0.0),
        ("serin_leader", 1.0),
    ] {
        assert_eq!(program.series(series), Some(value), "{series}");
    }
    let looks = r#"flagger_canary_duration_seconds_count{name="shop",namespace="prod"}"#;
    assert!(program.series(looks) > Some(0.0));

    assert!(is(&server.get(&the_canary()).expect("the Canary"), "Promoted"));

    make(&server, &deployment("shop", "registry.example/shop:2"));
    until(&program, status, Some(0.0));
    let abort = json!({ "metadata": { "annotations": { "serin.dev/intent": "abort" } } });
    server.merge(&the_canary(), &abort).expect("aborted");
    until(&program, status, Some(2.0));
    let conditions = server.get(&the_canary()).expect("the Canary")["status"]["conditions"].clone();
    let message = "Canary analysis failed, Deployment scaled to zero.";
    let told = ["type", "status", "reason", "message"].map(|it| conditions[0][it].clone());
    assert_eq!(told, ["Promoted", "False", "Failed", message]);
    assert_eq!(conditions.as_array().map(Vec::len), Some(1));
    let failures = r#"flagger_canary_failures_total{name="shop",namespace="prod",deployment_strategy="canary",analysis_status="completed"}"#;
    until(&program, failures, Some(1.0));

    let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
    let (code, text) = program.ask("GET", "/metrics", &accept, "");
    assert_eq!((code, text.ends_with("# EOF\n")), (200, true), "{text}");
    server.delete(&the_canary()).expect("deleted");
    until(&program, status, None);
    let rest = program.get("/metrics").1;
    assert!(!rest.contains("prod"), "{rest}");
}

#[test]
fn the_port_says_how_it_is_and_sets_the_logs_level() {
    let server = world();
    let program = Program::start(server.kubeconfig(), "default", "x", &["--log-format", "json"]);
    // As JSON the address is a field.
    let address = || program.lines().iter().any(|it| it.contains(r#""msg":"leading""#));
    eventually("it to lead", address).expect("it does");
    assert_eq!(program.get("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(program.get("/readyz"), (200, "ok\n".to_owned()));

    let put = |body: &str| program.ask("PUT", "/loglevel", &[], body);
    assert_eq!(program.get("/loglevel").1.trim(), "serin_controller=debug,info");
    assert_eq!(put("warn"), (200, "warn\n".to_owned()));
    assert_eq!(program.get("/loglevel"), (200, "warn\n".to_owned()));
    let (code, why) = put("serin=loud");
    assert!(code == 400 && why.starts_with(r#""serin=loud" is no filter of the log"#), "{why}");
    assert_eq!(put(&"x".repeat(5000)), (413, "a filter has at most 4096 bytes\n".to_owned()));
    assert_eq!(put(" ").0, 400);
    assert_eq!(program.get("/loglevel"), (200, "warn\n".to_owned()));
    assert_eq!(program.ask("POST", "/metrics", &[], "").0, 405);
    assert_eq!(program.get("/").0, 404);

    let gone = Instant::now();
    drop(Arc::into_inner(server).expect("nobody else has it"));
    eventually("it to be of no use", || program.get("/readyz").0 == 503).expect("it says so");
    let (seconds, why) = (gone.elapsed().as_secs(), program.get("/readyz").1);
    eprintln!("the API server is gone: /readyz says so after {seconds} s: {why}");
    assert_eq!(program.get("/livez").0, 200);
}
