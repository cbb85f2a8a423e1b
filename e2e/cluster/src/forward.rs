//! Loopback ports of the host that lead into the namespace, because there is no other way in.
//!
//! The listening sockets belong to the namespace that the process was born in; then the process moves, and every
//! connection that it makes from then on starts inside.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    netns,
    place::{API_PORT, GATEWAY_PORT, NODE_ADDRESS, PROMETHEUS_PORT, Place, REGISTRY_PORT},
};

/// What is forwarded: a name and the port at the node's address.
pub const TARGETS: [(&str, u16); 4] = [
    ("api", API_PORT),
    ("gateway", GATEWAY_PORT),
    ("registry", REGISTRY_PORT),
    ("prometheus", PROMETHEUS_PORT),
];

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Listens at these ports, in the order of [`TARGETS`], and does not return while it works.
pub fn serve(place: &Place, ports: &[u16]) -> Result<()> {
    let mut listeners = Vec::new();
    for (port, (_, target)) in ports.iter().zip(TARGETS) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))
            .with_context(|| format!("port {port} is not free"))?;
        let target = SocketAddr::new(NODE_ADDRESS.parse()?, target);
        listeners.push((listener, target));
    }
    netns::enter(place)?;
    thread::scope(|scope| {
        for (listener, target) in &listeners {
            scope.spawn(|| accept(listener, *target));
        }
    });
    Ok(())
}

fn accept(listener: &TcpListener, target: SocketAddr) {
    loop {
        match listener.accept() {
            Ok((outer, _)) => drop(thread::spawn(move || carry(&outer, target))),
            // Too many open files, most likely; they close again.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Until both sides have said all; when nobody listens inside, the caller's connection is closed at once.
fn carry(outer: &TcpStream, target: SocketAddr) {
    let Ok(inner) = TcpStream::connect_timeout(&target, CONNECT_WITHIN) else { return };
    let _ = outer.set_nodelay(true);
    let _ = inner.set_nodelay(true);
    thread::scope(|scope| {
        scope.spawn(|| pour(outer, &inner));
        pour(&inner, outer);
    });
}

fn pour(mut from: &TcpStream, mut to: &TcpStream) {
    let whole = io::copy(&mut from, &mut to).is_ok();
    let _ = to.shutdown(Shutdown::Write);
    if !whole {
        // One side was reset; the other is not to wait for a word that never comes.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Whether somebody could listen at all of them.
pub(crate) fn are_free(ports: &[u16]) -> bool {
    ports.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    // All are held until all are known, or the system might name one twice.
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
