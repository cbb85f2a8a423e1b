//! Where a request was heading before we looked: the names of our routes and the clusters of the tracks' services.
//!
//! Looked up by hash, so the time does not depend on how many rollouts there are.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

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

/// Index of the rollouts by route name and by cluster. Only ever asked, never iterated; the names come from the
/// controller, so a fixed hash key gives nobody a lever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    rollouts: Index<usize>,
    clusters: Index<(usize, Track)>,
}

type Index<T> = HashMap<Box<[u8]>, T, BuildHasherDefault<SipHasher13>>;

impl Places {
    pub(crate) fn of(rollouts: &[Rollout]) -> Self {
        let mut places = Self::default();
        for (index, rollout) in rollouts.iter().enumerate() {
            let name = format!("{}.{}", rollout.name, rollout.namespace);
            places.rollouts.insert(name.into_bytes().into(), index);
            let Some(direct) = &rollout.direct else { continue };
            for (track, names) in
                [(Track::Primary, &direct.primary), (Track::Canary, &direct.canary)]
            {
                for name in names {
                    places.clusters.insert(name.as_bytes().into(), (index, track));
                }
            }
        }
        places
    }

    /// Our part of a route's name, wherever it stands: Istio writes before it and behind it.
    pub(crate) fn locate(&self, route_name: &[u8]) -> Option<Place> {
        if self.rollouts.is_empty() {
            return None;
        }
        let ours = after_last(route_name, MARK.as_bytes())?;
        let slash = ours.iter().position(|byte| *byte == b'/')?;
        let kind = kind(ours.get(slash.checked_add(1)?..)?)?;
        let rollout = *self.rollouts.get(ours.get(..slash)?)?;
        Some(Place { rollout, kind })
    }

    /// The rollout and track whose own service a cluster is.
    pub(crate) fn direct(&self, cluster: &[u8]) -> Option<(usize, Track)> {
        self.clusters.get(cluster).copied()
    }

    pub(crate) fn any_direct(&self) -> bool {
        !self.clusters.is_empty()
    }
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
