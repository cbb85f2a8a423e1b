//! Webhooks of a running controller: who is called when, with what, and what an answer, or none, does to a release.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;

use crate::controller::{
    Controller, NAMESPACE, at, canary, deployment, make, the_canary, until, until_phase,
    until_told, world,
};
use crate::loadtester::LoadTester;
use crate::pods::Pods;

/// What does not wait for a hook takes no longer than this; the hook would answer after a minute.
const PROMPT: Duration = Duration::from_secs(10);

fn hook(name: &str, kind: &str, url: &str, more: &Value) -> Value {
    let mut hook = json!({ "name": name, "type": kind, "url": url });
    for (name, value) in more.as_object().into_iter().flatten() {
        hook[name] = value.clone();
    }
    hook
}

fn new_image(server: &ApiServer, name: &str, tag: u8) {
    let mut next = deployment(name, &format!("registry.example/{name}:{tag}"));
    next["spec"].as_object_mut().expect("a spec").remove("replicas");
    make(server, &next);
}

fn status(server: &ApiServer) -> Value {
    server.get(&the_canary()).expect("the Canary")["status"].clone()
}

#[test]
fn a_gate_holds_until_a_person_opens_it_and_tasks_and_listeners_are_called_in_order() {
    let server = world();
    let tester = LoadTester::start();
    let task = json!({ "timeout": "15s", "retries": 1,
                       "metadata": { "type": "bash", "cmd": "exit 0" } });
    let webhooks = json!([
        hook("ask a person", "confirm-rollout", &tester.url("/gate/check"), &json!({})),
        hook("acceptance", "pre-rollout", &tester.url("/"), &task),
        hook("chat", "event", &tester.url("/events"), &json!({ "metadata": { "team": "shop" } })),
    ]);
    make(&server, &canary(&json!({ "webhooks": webhooks })));
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let _controller = Controller::telling(server.kubeconfig(), Some(tester.url("/all")));
    until_phase(&server, "Initialized");
    assert!(tester.calls("/gate/check").is_empty());

    new_image(&server, "shop", 2);
    until_phase(&server, "Waiting");
    until_told(&server, "Halt release.prod advancement waiting for approval ask a person");
    // Asked again with each interval, and nothing is counted.
    until("a second call", || tester.calls("/gate/check").len() > 1);
    let waiting = status(&server);
    assert_eq!((&waiting["phase"], &waiting["failedChecks"]), (&json!("Waiting"), &json!(0)));
    assert!(tester.calls("/").is_empty());
    tester.open("release.prod");
    until_phase(&server, "Progressing");
    until_told(&server, "Pre-rollout check acceptance passed");

    let gates = tester.calls("/gate/check");
    let phases: Vec<&Value> = gates.iter().map(|it| &it["phase"]).collect();
    assert_eq!(phases[..2], ["Initialized", "Waiting"]);
    let mut task = tester.calls("/").remove(0);
    let checksum = task["checksum"].take();
    assert!(checksum.as_str().is_some_and(|it| !it.is_empty()), "{checksum}");
    assert!(gates.iter().all(|it| it["checksum"] == checksum), "{gates:#?}");
    let expected = json!({ "name": "release", "namespace": "prod", "phase": "Progressing",
                           "checksum": null, "metadata": { "type": "bash", "cmd": "exit 0" } });
    assert_eq!(task, expected);
    listened(&tester);
}

/// What the listener heard, in order.
fn listened(tester: &LoadTester) {
    let heard = || tester.calls("/events");
    until("the last event", || {
        heard()
            .iter()
            .any(|it| it["metadata"]["eventMessage"] == "Pre-rollout check acceptance passed")
    });
    let all = heard();
    let said: Vec<&str> =
        all.iter().filter_map(|it| it["metadata"]["eventMessage"].as_str()).collect();
    let expected = [
        "Initialization done! release.prod",
        "Halt release.prod advancement waiting for approval ask a person",
        "Confirm-rollout check ask a person passed",
        "New revision detected! Scaling up shop.prod",
        "Starting canary analysis for shop.prod",
        "Pre-rollout check acceptance passed",
    ];
    assert_eq!(said, expected);
    assert_eq!(all[0]["metadata"]["team"], "shop");
    assert_eq!(all[0]["metadata"]["eventType"], "Normal");
    assert_eq!(all[1]["metadata"]["eventType"], "Warning");
    let stamp = all[1]["metadata"]["timestamp"].as_str().and_then(|it| it.parse::<u64>().ok());
    assert!(stamp.is_some_and(|ms| ms > 1_700_000_000_000), "{stamp:?}");
    // Whoever has a listener of its own tells nobody else.
    assert!(tester.calls("/all").is_empty());
}

#[test]
fn a_task_that_fails_counts_and_ends_the_release_with_its_own_words() {
    let server = world();
    let tester = LoadTester::start();
    let task = json!({ "metadata": { "type": "bash", "cmd": "echo no token; exit 1" } });
    let webhooks = json!([
        hook("acceptance", "pre-rollout", &tester.url("/"), &task),
        hook("farewell", "post-rollout", &tester.url("/ended"), &json!({})),
    ]);
    make(&server, &canary(&json!({ "webhooks": webhooks })));
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let _controller = Controller::telling(server.kubeconfig(), Some(tester.url("/all")));
    until_phase(&server, "Initialized");
    new_image(&server, "shop", 2);
    let url = tester.url("/");
    until_told(&server, &format!("acceptance failed POST {url} giving up after 1 attempt(s): 500"));
    until_told(&server, "no token");
    until_phase(&server, "Failed");
    assert_eq!(tester.calls("/").len(), 2, "as often as its threshold lets it");
    until("its end", || tester.calls("/ended").len() == 1);
    assert_eq!(tester.calls("/ended")[0]["phase"], "Failed");
    until_told(&server, "Post-rollout check farewell passed");
    let last = |it: &Value| it["metadata"]["eventMessage"] == "Post-rollout check farewell passed";
    until("everybody's listener", || tester.calls("/all").iter().any(last));
}

#[test]
fn a_hook_that_hangs_delays_nobody_and_is_called_again_after_a_restart() {
    let server = world();
    let tester = LoadTester::start();
    let slow = json!({ "timeout": "60s" });
    let gate = hook("silent", "confirm-rollout", &tester.url("/hang"), &slow);
    let deaf = hook("deaf", "event", &tester.url("/hang-too"), &slow);
    make(&server, &canary(&json!({ "webhooks": [gate, deaf] })));
    let open = hook("open", "confirm-rollout", &tester.url("/gate/approve"), &json!({}));
    let mut second = canary(&json!({ "webhooks": [open] }));
    second["metadata"]["name"] = "second".into();
    second["spec"]["targetRef"]["name"] = "cart".into();
    second["spec"]["service"]["name"] = "basket".into();
    make(&server, &deployment("cart", "registry.example/cart:1"));
    make(&server, &second);
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    let other = || server.get(&at("serin.dev/v1beta1", "Canary", "second")).unwrap_or_default();
    until("the second Canary", || other()["status"]["phase"] == "Initialized");

    new_image(&server, "shop", 2);
    until("the silent hook to be called", || tester.calls("/hang").len() == 1);
    let begun = Instant::now();
    new_image(&server, "cart", 2);
    until("the second release to begin", || other()["status"]["phase"] == "Progressing");
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    assert_eq!(status(&server)["phase"], "Waiting");

    drop(controller);
    let _controller = Controller::start(server.kubeconfig());
    until("it to be called again", || tester.calls("/hang").len() > 1);
    // Nor does it delay its own release's end.
    let begun = Instant::now();
    new_image(&server, "shop", 1);
    until_phase(&server, "Initialized");
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    thread::sleep(Duration::from_secs(1));
    assert_eq!(status(&server)["phase"], "Initialized");
}
