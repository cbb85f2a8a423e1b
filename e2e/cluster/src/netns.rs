//! The cluster's network: a namespace with a bridge and no way out.

use std::{
    fs::File,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    process::Command,
    thread,
};

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    command,
    place::{NODE_ADDRESS, Place},
};

/// The device that carries the node's address.
pub(crate) const BRIDGE: &str = "node0";

/// Makes the namespace unless it is there.
pub(crate) fn make(place: &Place) -> Result<()> {
    if identity(place).is_some() {
        return Ok(());
    }
    ip(&["netns", "add", &place.long_name()])?;
    ip_inside(place, "link set lo up")?;
    ip_inside(place, &format!("link add {BRIDGE} type bridge"))?;
    ip_inside(place, &format!("addr add {NODE_ADDRESS}/24 dev {BRIDGE}"))?;
    // A bridge has a carrier only while one of its ports has.
    ip_inside(place, "link add port0 type veth peer name port1")?;
    ip_inside(place, &format!("link set port0 master {BRIDGE}"))?;
    for device in ["port0", "port1", BRIDGE] {
        ip_inside(place, &format!("link set {device} up"))?;
    }
    // Service addresses need some route before they are translated; what is not ours ends on the bridge.
    ip_inside(place, &format!("route add default dev {BRIDGE} src {NODE_ADDRESS}"))?;
    within(place, || {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")
            .context("IP forwarding cannot be switched on inside the namespace")
    })
}

/// Removes the namespace, and with it every device and rule in it.
pub(crate) fn remove(place: &Place) -> Result<()> {
    if place.namespace().exists() {
        ip(&["netns", "del", &place.long_name()])?;
    }
    Ok(())
}

/// Tells the namespace from all others; none when it is not there.
pub(crate) fn identity(place: &Place) -> Option<u64> {
    let path = place.namespace();
    let parent = path.parent()?.metadata().ok()?;
    let found = path.metadata().ok()?;
    // What is left of a half-made one is a plain file on the directory's own file system.
    (found.dev() != parent.dev()).then(|| found.ino())
}

/// The same command in the namespace. `ip netns exec` would also give it another /sys, without cgroups.
pub(crate) fn inside(place: &Place, command: &Command) -> Command {
    let mut entering = Command::new("nsenter");
    entering.arg(format!("--net={}", place.namespace().display())).arg("--");
    entering.arg(command.get_program()).args(command.get_args());
    entering
}

/// Runs this on a thread that lives in the namespace.
pub(crate) fn within<T: Send>(place: &Place, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            enter(place)?;
            work()
        });
        inside.join().map_err(|_| anyhow!("the work in the namespace panicked"))?
    })
}

/// Moves the calling thread, and the threads that it starts from now on, into the namespace.
pub(crate) fn enter(place: &Place) -> Result<()> {
    let path = place.namespace();
    let file =
        File::open(&path).with_context(|| format!("there is no namespace {}", path.display()))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| format!("{} cannot be entered", path.display()))
}

fn ip_inside(place: &Place, words: &str) -> Result<()> {
    let name = place.long_name();
    let mut all = vec!["-n", name.as_str()];
    all.extend(words.split(' '));
    ip(&all)
}

fn ip(words: &[&str]) -> Result<()> {
    command::output(Command::new("ip").args(words)).map(drop)
}
