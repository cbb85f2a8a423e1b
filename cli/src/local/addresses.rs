//! The addresses of both versions: one endpoint for each name, and none that would make a release wait for ever.

use std::{io, net::SocketAddr};

use tokio::net::lookup_host;

use super::readiness::accepts;
use crate::failure::Failure;

/// Primary's and the canary's addresses; everything that is wrong with either is told.
pub(super) async fn both(
    primary: &[String],
    canary: &[String],
) -> Result<(Vec<SocketAddr>, Vec<SocketAddr>), Failure> {
    let mut problems = Vec::new();
    let primary = resolve("--primary", primary, &mut problems).await;
    let canary = resolve("--canary", canary, &mut problems).await;
    if problems.is_empty() {
        Ok((primary, canary))
    } else {
        Err(Failure::usage(problems.join("\n")))
    }
}

/// Looks each name up, once.
async fn resolve(option: &str, names: &[String], problems: &mut Vec<String>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for name in names {
        match find(name).await {
            Ok(address) if addresses.contains(&address) => {}
            Ok(address) => addresses.push(address),
            Err(error) => problems.push(format!(
                "{option} {name:?} cannot be found: {error}; give HOST:PORT, such as 127.0.0.1:9001"
            )),
        }
    }
    addresses
}

async fn find(name: &str) -> io::Result<SocketAddr> {
    let found: Vec<_> = lookup_host(name).await?.collect();
    choose(&found).await.ok_or_else(|| io::Error::other("it has no address"))
}

/// A name is one endpoint, however many addresses it has: `localhost` is `::1` and `127.0.0.1`, and an app listens on
/// one of them. The first that accepts; while none does, IPv4, where most apps listen.
async fn choose(found: &[SocketAddr]) -> Option<SocketAddr> {
    if found.len() > 1 {
        for address in found {
            if accepts(*address).await {
                return Some(*address);
            }
        }
    }
    found.iter().find(|address| address.is_ipv4()).or(found.first()).copied()
}

/// What no release can go on with.
pub(super) fn check(
    primary: &[SocketAddr],
    canary: &[SocketAddr],
    listen: SocketAddr,
) -> Result<(), Failure> {
    for (flag, address) in each(primary, canary) {
        if address.port() == 0 {
            return Err(Failure::usage(format!("{flag} {address}: port 0 is nobody's, name one")));
        }
        if would_meet(listen, address) {
            let problem = "is where Envoy is to listen (--listen): it would ask itself";
            return Err(Failure::usage(format!("{flag} {address} {problem}; change one of them")));
        }
    }
    match canary.iter().find(|address| primary.contains(address)) {
        Some(both) => Err(Failure::usage(format!(
            "{both} is both --primary and --canary: there is nothing to compare; \
             give each version addresses of its own"
        ))),
        None => Ok(()),
    }
}

fn each<'a>(
    primary: &'a [SocketAddr],
    canary: &'a [SocketAddr],
) -> impl Iterator<Item = (&'static str, SocketAddr)> + 'a {
    let of = |flag, addresses: &'a [SocketAddr]| addresses.iter().map(move |it| (flag, *it));
    of("--primary", primary).chain(of("--canary", canary))
}

fn would_meet(listen: SocketAddr, address: SocketAddr) -> bool {
    let everywhere = listen.ip().is_unspecified() && address.ip().is_loopback();
    listen.port() == address.port() && (listen.ip() == address.ip() || everywhere)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[tokio::test]
    async fn a_name_is_one_endpoint_and_rather_one_that_accepts() {
        let (here, gone) = (TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0"));
        let (here, gone) = (here.unwrap(), gone.unwrap().local_addr().unwrap());
        let accepts = here.local_addr().unwrap();
        assert_eq!(choose(&[gone, accepts]).await, Some(accepts));
        assert_eq!(choose(&[at("[::1]:1"), at("127.0.0.1:1")]).await, Some(at("127.0.0.1:1")));
        assert_eq!(choose(&[at("[::1]:1")]).await, Some(at("[::1]:1")));
        assert_eq!(choose(&[]).await, None);

        let port = accepts.port();
        let given = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        let named = both(&given, &given[..1]).await.unwrap().0;
        assert_eq!(named, [accepts], "one endpoint, named twice");
    }

    #[test]
    fn two_versions_and_envoy_have_addresses_of_their_own() {
        let (one, two) = ([at("127.0.0.1:1")], [at("127.0.0.1:2")]);
        assert!(check(&one, &two, at("127.0.0.1:8080")).is_ok());
        assert!(check(&one, &two, at("127.0.0.1:0")).is_ok());
        assert!(check(&one, &[two[0], one[0]], at("127.0.0.1:8080")).is_err());
        assert!(check(&one, &two, at("127.0.0.1:1")).is_err());
        assert!(check(&one, &two, at("0.0.0.0:2")).is_err());
        assert!(check(&[at("10.0.0.1:8080")], &two, at("0.0.0.0:8080")).is_ok());
        assert!(check(&one, &[at("127.0.0.1:0")], at("127.0.0.1:8080")).is_err());
    }
}
