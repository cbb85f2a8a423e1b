//! The rig on the real thing: what `up` makes `down` removes, and `up` mends what was killed. Needs root.

mod damaged;
mod documented;
mod interrupted;
mod killed;
mod rig;
mod traces;

use rig::{Rig, pod, turn};
use serde_json::{Value, json};
use serin_cluster::{access::Access, cluster::Cluster};
use traces::Traces;

#[test]
fn three_rounds_leave_nothing() {
    let _turn = turn();
    let rig = Rig::new("rig-rounds");
    // The first with all that runs in pods, which has to come back after the node's own programs were killed.
    for round in 1..=3 {
        let before = Traces::of(rig.name);
        assert!(before.is_clean(), "before round {round}: {before:#?}");
        let is_mesh = round == 1;
        let access = if is_mesh { rig.up_with(&["up"]) } else { rig.up() };
        pod(&access, "one");
        if is_mesh {
            a_mesh_is_mended(&rig, &access);
            documented::release_to_try(&rig);
        }
        let meanwhile = Traces::of(rig.name);
        assert!(meanwhile.is_rich(), "a look that sees nothing proves nothing: {meanwhile:#?}");
        rig.run(&["down"]);
        let after = Traces::of(rig.name);
        assert_eq!(before, after, "after round {round}");
        let strays = meanwhile.left();
        assert!(strays.is_empty(), "{strays:?} after round {round}");
        let left = traces::processes_in(&meanwhile.networks);
        assert!(left.is_empty(), "their networks live on in {left:?}");
    }
}

fn a_mesh_is_mended(rig: &Rig, access: &Access) {
    rig.all_ready(6);
    let delete = ["delete", "--namespace=istio-system", "deployment", "prometheus"];
    access.kubectl(delete).expect("deleted");
    // Without DNS, istioctl would wait in vain.
    for (namespace, names) in
        [("istio-system", &["istiod"][..]), ("kube-system", &["coredns", "registry"][..])]
    {
        let scale = ["scale", "--replicas=0", "deployment", "--namespace", namespace];
        access.kubectl(scale.into_iter().chain(names.iter().copied())).expect("scaled");
    }
    for part in ["kubelet", "containerd", "etcd"] {
        rig.kill(part);
    }
    rig.run(&["up"]);
    rig.all_ready(6);
    let list = access.kubectl(["get", "pods", "--all-namespaces", "--output=json"]).expect("pods");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    for pod in list["items"].as_array().expect("items") {
        let restarts = pod.pointer("/status/containerStatuses/0/restartCount");
        assert_eq!(restarts, Some(&json!(0)), "{}", pod["metadata"]["name"]);
    }
    let prometheus = Cluster::named(rig.name).and_then(|it| it.address("prometheus"));
    let address = prometheus.expect("an address");
    let answer = ureq::get(format!("http://{address}/-/ready")).call().expect("an answer");
    assert_eq!(answer.status(), 200, "through the service's rules");
}

#[test]
fn two_clusters_live_side_by_side() {
    let _turn = turn();
    let (left, right) = (Rig::new("rig-left"), Rig::new("rig-right"));
    let before = Traces::of(right.name);
    let (on_left, on_right) = (left.up(), right.up());
    pod(&on_left, "here");
    pod(&on_right, "there");
    assert!(on_left.kubectl(["get", "pod", "there"]).is_err());
    right.run(&["down"]);
    assert_eq!(before, Traces::of(right.name));
    left.all_ready(0);
    pod(&on_left, "still-here");
}
