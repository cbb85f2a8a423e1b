//! Records that are gone or say what is not true.

use std::{fs, path::Path};

use crate::{
    rig::{Rig, turn},
    traces::Traces,
};

#[test]
fn down_removes_what_is_the_clusters_whatever_its_records_say() {
    let _turn = turn();
    let rig = Rig::new("rig-records");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let cache = elsewhere.path().to_str().expect("text");
    let before = Traces::of(rig.name);
    let state = Path::new("/run/serin-cluster").join(rig.name).join("state.json");

    // Gone, and told to use another cache: containerd's configuration knows better.
    rig.up();
    fs::remove_file(&state).expect("removed");
    let mut down = rig.command(&["down"]);
    assert!(down.env("SERIN_CACHE", cache).status().expect("it runs").success());
    assert_eq!(before, Traces::of(rig.name));

    // It names what is not the cluster's.
    rig.up();
    let letter = elsewhere.path().join("letter");
    fs::write(&letter, "dear").expect("written");
    let text = fs::read_to_string(&state).expect("a record");
    let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    record["store"] = elsewhere.path().to_str().into();
    fs::write(&state, record.to_string()).expect("written");
    let (is_well, _) = rig.status();
    assert!(!is_well, "a damaged record is no cluster");
    rig.run(&["down"]);
    assert!(letter.exists(), "it was not the cluster's");
    assert_eq!(before, Traces::of(rig.name));
}
