//! An `up` that does not reach its end.

use std::{
    process::{Child, Command},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serin_cluster::say;

use crate::{
    rig::{Rig, pod, turn},
    traces::{self, Traces},
};

#[test]
fn an_up_that_was_killed_is_taken_down_or_finished() {
    let _turn = turn();
    let rig = Rig::new("rig-half");
    let before = Traces::of(rig.name);
    for (milliseconds, finish) in [(300, false), (1500, false), (3500, false), (2500, true)] {
        let mut half = rig.command(&["up", "--bare"]).spawn().expect("it starts");
        thread::sleep(Duration::from_millis(milliseconds));
        half.kill().expect("SIGKILL");
        half.wait().expect("it ends");
        if finish {
            let access = rig.up();
            rig.all_ready(0);
            pod(&access, "one");
        }
        rig.run(&["down"]);
        assert_eq!(before, Traces::of(rig.name), "killed after {milliseconds} ms");
    }
}

#[test]
fn an_interrupted_up_leaves_the_kernels_settings_as_they_were() {
    let _turn = turn();
    let rig = Rig::new("rig-kernel");
    let before = traces::settings();
    // By its own end, and by another's when it was killed.
    for (signal, mended_by) in [(Signal::TERM, None), (Signal::KILL, Some("down"))] {
        let mut up = rig.command(&["up", "--bare"]).spawn().expect("it starts");
        if !changes(&mut up, &before) {
            say::note(
                "LEFT OUT: settings of an interrupted up, for no kubelet may change any here",
            );
            return;
        }
        let pid = i32::try_from(up.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("it lives");
        up.wait().expect("it ends");
        if let Some(command) = mended_by {
            rig.run(&[command]);
        }
        assert_eq!(traces::settings(), before, "after {signal:?}");
    }
}

/// Whether anything is changed before that `up` ends.
fn changes(up: &mut Child, before: &[String]) -> bool {
    while up.try_wait().expect("its status").is_none() {
        if traces::settings() != before {
            return true;
        }
        thread::sleep(Duration::from_millis(2));
    }
    false
}

#[test]
fn what_a_killed_up_had_begun_is_ended_by_the_next_command() {
    let _turn = turn();
    let rig = Rig::new("rig-tools");
    for command in [&["up", "--bare"][..], &["down"]] {
        // A build as an `up` starts it: nothing else tells whose it is.
        let mut build = Command::new("sleep")
            .arg("600")
            .env("SERIN_CLUSTER_UP", rig.name)
            .spawn()
            .expect("it starts");
        let mut other = Command::new("sleep")
            .arg("600")
            .env("SERIN_CLUSTER_UP", "rig-tools-of-another")
            .spawn()
            .expect("it starts");
        rig.run(command);
        let ended = build.try_wait().expect("its status").is_some();
        let is_spared = other.try_wait().expect("its status").is_none();
        for child in [&mut build, &mut other] {
            let _ = child.kill();
            child.wait().expect("it ends");
        }
        assert!(ended && is_spared, "{command:?}: ended {ended}, another's spared {is_spared}");
    }
}
