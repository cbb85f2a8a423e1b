//! The lowest tier on the real programs: several at once, each keeps its promises, and none survives its owner.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_cluster::{apiserver::ApiServer, say};

const PATIENCE: Duration = Duration::from_secs(30);
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn config_map(name: &str, owners: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": owners},
    })
}

/// The processes that have this word in their command line.
fn with_word(word: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(word))
        .collect()
}

#[test]
fn three_at_once_know_nothing_of_each_other() {
    let began = Instant::now();
    let servers: Vec<ApiServer> = thread::scope(|scope| {
        let starting: Vec<_> = (0..3).map(|_| scope.spawn(ApiServer::start)).collect();
        let started = starting.into_iter().map(|it| it.join().expect("no panic"));
        started.map(|it| it.expect("an API server")).collect()
    });
    say::note(&format!("three at once: {:.1} s", began.elapsed().as_secs_f64()));
    for (number, server) in servers.iter().enumerate() {
        assert!(server.kubeconfig().is_file());
        server.post(CONFIG_MAPS, &config_map(&format!("mine-{number}"), &json!([]))).expect("made");
    }
    for (number, server) in servers.iter().enumerate() {
        let list = server.get(CONFIG_MAPS).expect("a list");
        let names = list["items"].as_array().expect("items").iter();
        let mine: Vec<&str> = names
            .filter_map(|it| it["metadata"]["name"].as_str())
            .filter(|name| name.starts_with("mine-"))
            .collect();
        assert_eq!(mine, [format!("mine-{number}")]);
    }
}

#[test]
fn what_an_object_owns_goes_with_it() {
    let began = Instant::now();
    let server = ApiServer::start().expect("an API server");
    say::note(&format!("ready: {:.1} s", began.elapsed().as_secs_f64()));
    let owner = server.post(CONFIG_MAPS, &config_map("owner", &json!([]))).expect("an owner");
    let reference = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"],
    }]);
    server.post(CONFIG_MAPS, &config_map("owned", &reference)).expect("what it owns");
    server.post(CONFIG_MAPS, &config_map("free", &json!([]))).expect("what it does not own");
    let began = Instant::now();
    server.delete(&format!("{CONFIG_MAPS}/owner")).expect("deleted");
    eventually("garbage collection", || server.get(&format!("{CONFIG_MAPS}/owned")).is_err());
    say::note(&format!("garbage collected: {:.1} s", began.elapsed().as_secs_f64()));
    server.get(&format!("{CONFIG_MAPS}/free")).expect("it is still there");
}

#[test]
fn dropped_it_leaves_nothing() {
    let server = ApiServer::start().expect("an API server");
    let kubeconfig = server.kubeconfig().to_owned();
    let directory = kubeconfig.parent().expect("its directory").to_owned();
    let word = directory.display().to_string();
    assert_eq!(with_word(&word).len(), 3, "etcd, API server, controller manager");
    drop(server);
    assert_eq!(with_word(&word), Vec::<String>::new());
    assert!(!directory.exists());
}

#[test]
fn killed_with_its_owner_it_leaves_no_process() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_serin-cluster"))
        .arg("apiserver")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let output = owner.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut line).expect("a line");
    let directory = PathBuf::from(line.trim()).parent().expect("a directory").to_owned();
    let word = directory.display().to_string();
    assert_eq!(with_word(&word).len(), 3, "{line}");
    owner.kill().expect("SIGKILL");
    owner.wait().expect("it ends");
    eventually("the children to die", || with_word(&word).is_empty());
    // Nobody is left who could remove it.
    fs::remove_dir_all(directory).expect("its files are there");
}
