//! Parts that are killed, and what becomes of the rest.

use std::process::Command;

use serde_json::json;
use serin_cluster::access::Access;

use crate::{
    rig::{Rig, pod, status_of, turn},
    traces::{self, Traces},
};

#[test]
fn what_was_killed_is_mended_by_up() {
    let _turn = turn();
    let rig = Rig::new("rig-kill");
    let before = Traces::of(rig.name);
    let access = rig.up();
    pod(&access, "old");
    for (number, part) in ["kubelet", "containerd", "etcd", "forward"].into_iter().enumerate() {
        let others = rig.pid("kube-apiserver");
        rig.kill(part);
        rig.up();
        rig.all_ready(0);
        assert_eq!(rig.pid("kube-apiserver"), others, "it was not the one that was killed");
        pod(&access, &format!("new-{number}"));
        let old = status_of(&access, "old");
        assert_eq!(old.pointer("/status/phase"), Some(&json!("Running")), "after {part}");
        let restarts = old.pointer("/status/containerStatuses/0/restartCount");
        assert_eq!(restarts, Some(&json!(0)), "after {part}");
    }
    a_deleted_node_comes_back(&rig, &access);
    let meanwhile = Traces::of(rig.name);
    shims_too(&rig, &access);
    // Whatever is dead when `down` begins is no obstacle to it.
    for part in ["containerd", "kube-apiserver", "kubelet"] {
        rig.kill(part);
    }
    let (is_well, table) = rig.status();
    assert!(!is_well, "{table}");
    rig.run(&["down"]);
    assert_eq!(before, Traces::of(rig.name));
    let strays = meanwhile.left();
    assert!(strays.is_empty(), "{strays:?}");
}

fn a_deleted_node_comes_back(rig: &Rig, access: &Access) {
    access.kubectl(["delete", "node", "node"]).expect("deleted");
    rig.up();
    rig.all_ready(0);
    pod(access, "on-the-new-node");
}

/// Pods die with their shims, and others come.
fn shims_too(rig: &Rig, access: &Access) {
    rig.kill("containerd");
    let shims = traces::processes(rig.name).into_iter().filter(|it| it.contains("containerd-shim"));
    let pids: Vec<String> =
        shims.filter_map(|it| it.split_whitespace().next().map(str::to_owned)).collect();
    assert!(!pids.is_empty(), "a pod has a shim");
    let killed = Command::new("kill").arg("-9").args(&pids).status().expect("kill runs");
    assert!(killed.success(), "{pids:?}");
    rig.up();
    rig.all_ready(0);
    pod(access, "after-the-shims");
}
