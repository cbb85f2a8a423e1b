//! What a person asks by `serin`, as a program, of a real API server with the controller on it.

use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use serin_cluster::{apiserver::ApiServer, cargo::cargo};
use serin_e2e_apiserver::eventually;

use crate::controller::{
    Controller, canary, make, make_image, replicas, the_canary, until_phase, until_told, world,
};
use crate::pods::Pods;
use crate::proxies::Proxies;

/// Built first: tests of another package do not get its programs.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = cargo().args(["build", "--quiet", "-p", "serin-cli"]).status();
        assert!(built.expect("cargo runs").success(), "serin does not build");
        let test = env::current_exe().expect("this program's path");
        test.ancestors().nth(2).expect("the directory of what is built").join("serin")
    })
}

fn command(server: &ApiServer, words: &str) -> Command {
    let mut command = Command::new(program());
    command.args(words.split_whitespace()).env("KUBECONFIG", server.kubeconfig());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code, and what is said on both outputs.
fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn serin(server: &ApiServer, words: &str) -> (i32, String, String) {
    told(command(server, words).output().expect("it runs"))
}

/// Succeeds, and says this on the standard output.
fn says(server: &ApiServer, words: &str, part: &str) {
    let (code, out, error) = serin(server, words);
    assert!(code == 0 && out.contains(part), "serin {words}: {code}: {out}{error}");
}

/// Ends so, and says this on the standard error.
fn fails(server: &ApiServer, words: &str, expected: i32, part: &str) {
    let (code, out, error) = serin(server, words);
    assert!(code == expected && error.contains(part), "serin {words}: {code}: {out}{error}");
}

fn watch(server: &ApiServer) -> Child {
    command(server, "watch release -n prod").spawn().expect("it starts")
}

fn ended(child: Child) -> (i32, String, String) {
    told(child.wait_with_output().expect("it ends"))
}

fn intent(server: &ApiServer) -> Value {
    let canary = server.get(&the_canary()).expect("the Canary");
    canary["metadata"]["annotations"]["serin.dev/intent"].clone()
}

#[test]
fn a_release_is_steered_and_followed_by_verbs() {
    let server = world();
    let _pods = Pods::ready_in(&server, "prod");
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    eventually("the target to have no pods", || replicas(&server, "shop") == 0).expect("scaled");

    says(&server, "get -n prod", "release   Initialized   0%");
    says(&server, "get canary/release -n prod -o yaml", "kind: Canary\n");
    fails(&server, "promote release -n prod", 1, "has no release under way");
    says(&server, "watch release -n prod", "is promoted");

    says(&server, "pause release -n prod", "the next one is held as it begins");
    assert!(intent(&server).is_null(), "the controller has taken it up");
    let version = |server: &ApiServer| {
        server.get(&the_canary()).expect("the Canary")["metadata"]["resourceVersion"].clone()
    };
    let before = version(&server);
    says(&server, "pause release -n prod", "is paused already");
    assert_eq!(version(&server), before, "nothing is written twice");
    says(&server, "resume release -n prod", "the next release will not be held");

    make_image(&server, "registry.example/shop:2");
    until_phase(&server, "Progressing");
    until_told(&server, "New revision detected!");
    says(&server, "describe release -n prod", "New revision detected! Scaling up shop.prod");
    says(
        &server,
        "describe release -n prod",
        "You can     serin pause, serin promote, serin abort",
    );
    fails(&server, "watch release -n prod --timeout 1s", 4, "not over in time: Progressing at 0%");

    let watching = watch(&server);
    let interrupted = watch(&server);
    thread::sleep(Duration::from_secs(1));
    let pid = interrupted.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    assert_eq!(ended(interrupted).0, 130);
    let _proxies = Proxies::in_namespace(&server, "prod", controller.reports());
    says(&server, "abort release -n prod", "all traffic goes to primary");
    let (code, out, error) = ended(watching);
    assert_eq!(code, 1, "{out}{error}");
    assert!(out.contains("Rolling back release.prod aborted"), "{out}");
    assert!(out.ends_with("canary release.prod is rolled back\n"), "{out}");
    says(&server, "abort release -n prod", "is rolled back already");

    says(&server, "retry release -n prod", "is tried again from the start");
    until_phase(&server, "Progressing");
    says(&server, "promote release -n prod", "the steps that are left are skipped");
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_do() {
    let server = world();
    fails(&server, "get shop -n prod", 3, "has no Canary shop; it has: release");
    fails(&server, "get --context nowhere", 3, "no cluster is configured");
    fails(&server, "get -A -n prod", 2, "cannot be used with");
    // No controller runs here, which a wish outlives.
    says(&server, "describe release -n prod", "no controller has looked at it yet");
    says(&server, "pause release -n prod", "pause asked");
    assert_eq!(intent(&server), "pause");
    let (code, out, _) = serin(&server, "check -n prod");
    assert_eq!(code, 1);
    for line in [
        "✖ no istiod runs here\n    install Istio",
        "✔ canaries.serin.dev is defined, v1beta1\n",
        "✔ you may steer Canaries in namespace prod\n",
        "✖ no controller is installed\n    install it: docs/install.md\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }

    let mut other = canary(&json!({}));
    other["apiVersion"] = "flagger.app/v1beta1".into();
    make(&server, &other);
    fails(&server, "describe release -n prod", 2, "say which by --group");
    says(&server, "describe release -n prod --group flagger.app", "release.prod (flagger.app)");
    says(&server, "get -n prod", "flagger.app");
}

#[test]
fn a_cluster_without_definitions_says_that_serin_is_not_installed() {
    let server = ApiServer::start().expect("an API server");
    fails(&server, "get", 3, "Serin is not installed");
    fails(&server, "abort shop", 3, "Serin is not installed");
    let (code, out, _) = serin(&server, "check");
    assert!(code == 1 && out.contains("✖ canaries.serin.dev is not defined"), "{out}");
}
