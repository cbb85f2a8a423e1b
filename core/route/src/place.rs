//! Where a request was heading before we looked: the names of our routes and the clusters of the tracks' services.
//!
//! Looked up by hash, so the time does not depend on how many rollouts there are.

use siphasher::sip::SipHasher13;

use crate::{Rollout, Track};

/// What begins our part of a route's name.
const MARK: &str = "serin/";

/// A route of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the rollout in the table.
    pub rollout: usize,
    /// Which of its routes.
    pub kind: Kind,
}

/// The routes of one rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The default route, to primary.
    Primary,
    /// The route above it that matches the nonce.
    Canary,
    /// Natively weighted, for callers outside every scope: never touched, never compared.
    Unscoped,
    /// The default after a failed promotion: never touched, never compared.
    Failover,
}

impl Kind {
    /// As route names spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Canary => "canary",
            Self::Unscoped => "unscoped",
            Self::Failover => "failover",
        }
    }
}

/// The name of a rollout's route, as whoever writes routes must spell it: `serin/NAME.NAMESPACE/KIND`.
pub fn route_name(name: &str, namespace: &str, kind: Kind) -> String {
    format!("{MARK}{name}.{namespace}/{}", kind.as_str())
}

/// Index of the rollouts by route name and by cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    names: Index,
    clusters: Index,
}

/// Entries by the hash of their name: open addressing, at most half full. What an entry points at holds the name, so
/// none is kept twice. The hash needs no key; names come from the controller.
#[derive(Clone, Debug, Default)]
struct Index {
    slots: Vec<Option<Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    rollout: usize,
    track: Track,
    /// Among the clusters of the rollout and track.
    cluster: usize,
}

impl Places {
    pub(crate) fn of(rollouts: &[Rollout]) -> Self {
        let (mut names, mut clusters) = (Vec::new(), Vec::new());
        for (index, rollout) in rollouts.iter().enumerate() {
            let name = format!("{}.{}", rollout.name, rollout.namespace);
            names.push((
                hash(name.as_bytes()),
                Entry { rollout: index, track: Track::Primary, cluster: 0 },
            ));
            for track in [Track::Primary, Track::Canary] {
                for (cluster, name) in clusters_of(rollout, track).iter().enumerate() {
                    clusters
                        .push((hash(name.as_bytes()), Entry { rollout: index, track, cluster }));
                }
            }
        }
        Self { names: Index::of(&names), clusters: Index::of(&clusters) }
    }

    /// Our part of a route's name, wherever it stands: Istio writes before it and behind it.
    pub(crate) fn locate(&self, route_name: &[u8], rollouts: &[Rollout]) -> Option<Place> {
        if rollouts.is_empty() {
            return None;
        }
        let ours = after_last(route_name, MARK.as_bytes())?;
        let slash = ours.iter().position(|byte| *byte == b'/')?;
        let kind = kind(ours.get(slash.checked_add(1)?..)?)?;
        let name = ours.get(..slash)?;
        let entry = self.names.find(name, |entry| {
            rollouts.get(entry.rollout).is_some_and(|rollout| is_named(rollout, name))
        })?;
        Some(Place { rollout: entry.rollout, kind })
    }

    /// The rollout and track whose own service a cluster is.
    pub(crate) fn direct(&self, cluster: &[u8], rollouts: &[Rollout]) -> Option<(usize, Track)> {
        let entry = self.clusters.find(cluster, |entry| {
            let names = rollouts.get(entry.rollout).map(|it| clusters_of(it, entry.track));
            let name = names.and_then(|names| names.get(entry.cluster));
            name.is_some_and(|name| name.as_bytes() == cluster)
        })?;
        Some((entry.rollout, entry.track))
    }

    pub(crate) fn any_direct(&self) -> bool {
        !self.clusters.slots.is_empty()
    }
}

impl Index {
    fn of(entries: &[(u64, Entry)]) -> Self {
        if entries.is_empty() {
            return Self::default();
        }
        let length = entries.len().saturating_mul(2).next_power_of_two();
        let mut slots = vec![None; length];
        for (hash, entry) in entries {
            let free = probe(*hash, length).find(|at| matches!(slots.get(*at), Some(None)));
            if let Some(slot) = free.and_then(|at| slots.get_mut(at)) {
                *slot = Some(*entry);
            }
        }
        Self { slots }
    }

    fn find(&self, name: &[u8], is: impl Fn(&Entry) -> bool) -> Option<Entry> {
        if self.slots.is_empty() {
            return None;
        }
        for at in probe(hash(name), self.slots.len()) {
            // A slot never filled ends the search: nothing is ever taken out.
            let entry = self.slots.get(at).copied().flatten()?;
            if is(&entry) {
                return Some(entry);
            }
        }
        None
    }
}

fn hash(name: &[u8]) -> u64 {
    SipHasher13::new().hash(name)
}

/// The slots where an entry may be, in order; `length` is a power of two.
fn probe(hash: u64, length: usize) -> impl Iterator<Item = usize> {
    let mask = length.saturating_sub(1);
    let first = usize::try_from(hash & 0xffff_ffff).unwrap_or_default();
    (0..length).map(move |step| first.wrapping_add(step) & mask)
}

fn clusters_of(rollout: &Rollout, track: Track) -> &[String] {
    match (&rollout.direct, track) {
        (None, _) => &[],
        (Some(direct), Track::Primary) => &direct.primary,
        (Some(direct), Track::Canary) => &direct.canary,
    }
}

/// Whether `name` is the rollout's name, a dot, and its namespace.
fn is_named(rollout: &Rollout, name: &[u8]) -> bool {
    let rest = name.strip_prefix(rollout.name.as_bytes());
    let rest = rest.and_then(|rest| rest.strip_prefix(b"."));
    rest.is_some_and(|namespace| namespace == rollout.namespace.as_bytes())
}

fn after_last<'n>(name: &'n [u8], mark: &[u8]) -> Option<&'n [u8]> {
    let at = name.windows(mark.len()).rposition(|window| window == mark)?;
    name.get(at.checked_add(mark.len())?..)
}

fn kind(behind: &[u8]) -> Option<Kind> {
    let end = behind.iter().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(behind.len());
    match behind.get(..end)? {
        b"primary" => Some(Kind::Primary),
        b"canary" => Some(Kind::Canary),
        b"unscoped" => Some(Kind::Unscoped),
        b"failover" => Some(Kind::Failover),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Labels, Router};

    fn router() -> Router {
        let rollout = |name: &str, namespace: &str| {
            format!(
                r#"{{"name":"{name}","namespace":"{namespace}","run":"r","generation":1,"nonce":"n",
                    "salt":"00000000000000000000000000000000","weight":0,
                    "direct":{{"primary":["{name}-primary"],"canary":["{name}-canary"]}}}}"#
            )
        };
        let (first, dotted) = (rollout("shop", "prod"), rollout("a.b", "prod"));
        let table = format!(r#"{{"version":1,"scope":"s","rollouts":[{first},{dotted}]}}"#);
        Router::parse(table.as_bytes(), &Labels::new()).unwrap()
    }

    #[test]
    fn our_part_is_found_wherever_istio_puts_it() {
        let router = router();
        let at = |rollout, kind| Some(Place { rollout, kind });
        for (name, place) in [
            ("serin/shop.prod/primary", at(0, Kind::Primary)),
            ("serin/shop.prod/canary", at(0, Kind::Canary)),
            ("serin/shop.prod/unscoped", at(0, Kind::Unscoped)),
            ("serin/shop.prod/failover", at(0, Kind::Failover)),
            ("serin/shop.prod/primary.v1", at(0, Kind::Primary)),
            ("serin/shop.prod/primary-0", at(0, Kind::Primary)),
            ("root-serin/shop.prod/canary.match", at(0, Kind::Canary)),
            ("serin/none.prod/primary-serin/shop.prod/canary", at(0, Kind::Canary)),
            ("serin/a.b.prod/primary", at(1, Kind::Primary)),
            ("serin/b.prod/primary", None),
            ("serin/shop.prod/primarycanary", None),
            ("serin/shop.prod/Primary", None),
            ("serin/shop.prod/", None),
            ("serin/shop.prod", None),
            ("serin/shop/primary", None),
            ("serin//primary", None),
            ("serin/", None),
            ("serin/shop.prod/primary-serin/", None),
            ("default", None),
            ("", None),
        ] {
            assert_eq!(router.locate(name.as_bytes()), place, "{name:?}");
        }
        assert_eq!(router.locate(b"serin/\xff.prod/primary"), None);
    }

    #[test]
    fn names_are_located_as_they_are_written() {
        for kind in [Kind::Primary, Kind::Canary, Kind::Unscoped, Kind::Failover] {
            let name = route_name("a.b", "prod", kind);
            assert_eq!(router().locate(name.as_bytes()), Some(Place { rollout: 1, kind }));
        }
    }

    #[test]
    fn clusters_name_rollout_and_track() {
        let router = router();
        assert!(router.counts_direct());
        assert_eq!(router.direct(b"shop-primary"), Some((0, Track::Primary)));
        assert_eq!(router.direct(b"a.b-canary"), Some((1, Track::Canary)));
        assert_eq!(router.direct(b"shop"), None);
    }
}
