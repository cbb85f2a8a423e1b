//! A configuration taken up: what requests are decided by, and what they need when they end.

use std::rc::Rc;

use serin_route::{Direct, Kind, Rollout, Router, Track, route_name};

/// What begins our part of a route's name.
const MARK: &[u8] = b"serin/";

/// What became of a configuration. Root contexts keep their own, for Envoy may go back to it without another word.
#[derive(Clone, Debug)]
pub(crate) enum Configured {
    /// A good table.
    Table(Rc<Loaded>),
    /// Why it was refused.
    Refused(Rc<str>),
}

/// A good table.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// As it came: what tells one from another.
    pub(crate) text: Vec<u8>,
    pub(crate) router: Router,
    ends: Vec<Rc<End>>,
}

/// What the end of a request of one rollout is judged by. A request keeps this, and not the table: it may outlive many
/// tables, as a websocket does.
#[derive(Debug)]
pub(crate) struct End {
    primary: String,
    canary: String,
    direct: Option<Direct>,
    pub(crate) grpc: bool,
    pub(crate) retries: bool,
}

impl Loaded {
    pub(crate) fn of(text: Vec<u8>, router: Router) -> Self {
        let ends = router.table().rollouts.iter().map(|rollout| Rc::new(End::of(rollout)));
        Self { ends: ends.collect(), text, router }
    }

    /// For requests of a rollout, by its index in the table.
    pub(crate) fn end(&self, rollout: usize) -> Option<&Rc<End>> {
        self.ends.get(rollout)
    }
}

impl End {
    fn of(rollout: &Rollout) -> Self {
        let route = |kind| route_name(&rollout.name, &rollout.namespace, kind);
        Self {
            primary: route(Kind::Primary),
            canary: route(Kind::Canary),
            direct: rollout.direct.clone(),
            grpc: rollout.grpc,
            retries: rollout.retries,
        }
    }

    /// The track to which an Envoy route (`xds.route_name`) leads, if it is the rollout's: as [`Router::locate`] reads
    /// it.
    pub(crate) fn track_of_route(&self, name: &[u8]) -> Option<Track> {
        let at = name.windows(MARK.len()).rposition(|window| window == MARK)?;
        let ours = name.get(at..)?;
        let is = |route: &str| {
            let behind = ours.strip_prefix(route.as_bytes());
            behind.is_some_and(|it| !it.first().is_some_and(u8::is_ascii_lowercase))
        };
        Self::either(is(&self.primary), is(&self.canary))
    }

    /// The track whose own service an Envoy cluster (`xds.cluster_name`) is.
    pub(crate) fn track_of_cluster(&self, name: &[u8]) -> Option<Track> {
        let direct = self.direct.as_ref()?;
        let is_among = |names: &[String]| names.iter().any(|it| it.as_bytes() == name);
        Self::either(is_among(&direct.primary), is_among(&direct.canary))
    }

    fn either(primary: bool, canary: bool) -> Option<Track> {
        match (primary, canary) {
            (true, _) => Some(Track::Primary),
            (false, true) => Some(Track::Canary),
            (false, false) => None,
        }
    }
}
