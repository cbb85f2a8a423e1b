//! The decision: rules first, then the user's key, then the affinity cookie, then the weight.

use crate::affinity::AffinityId;
use crate::bucket::{Bucket, Dice};
use crate::matcher::{Labels, Patterns};
use crate::place::{Place, Places};
use crate::problem::Problems;
use crate::steering::Steering;
use crate::{Assignment, KeyHash, Request, Rollout, Table, Track, Weight, read};

/// A table made ready for requests.
#[derive(Clone, Debug, Default)]
pub struct Router {
    table: Table,
    places: Places,
    steerings: Vec<Steering>,
}

/// Who serves a request, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The track to steer to.
    pub track: Track,
    /// How the request came to it.
    pub assignment: Assignment,
    /// The user, where there is one: with [`Assignment::Sticky`], and only then.
    pub key: Option<KeyHash>,
    /// Index into [`Rollout::routes`]; none for all other routes.
    pub route: Option<usize>,
    /// An id was minted: the answer must carry [`crate::set_cookie`], whichever track serves.
    pub cookie: Option<AffinityId>,
}

impl Router {
    /// Reads a table. Nothing at all, or an empty object, is a table without rollouts.
    ///
    /// Conditions on labels are settled here against the calling pod's. The error holds every problem of the table
    /// at once; a table with any is of no use.
    pub fn parse(json: &[u8], labels: &Labels) -> Result<Self, Problems> {
        let (table, patterns) = read::table(json)?;
        Ok(Self::of(table, labels, &patterns))
    }

    /// The table as it was read.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The rollout and kind of an Envoy route (`xds.route_name`), if it is one of ours. The last `serin/` in the name
    /// counts; anything may stand before it and behind the kind.
    pub fn locate(&self, route_name: &[u8]) -> Option<Place> {
        self.places.locate(route_name, &self.table.rollouts)
    }

    /// The rollout and track whose own service an Envoy cluster (`xds.cluster_name`) is.
    pub fn direct(&self, cluster: &[u8]) -> Option<(usize, Track)> {
        self.places.direct(cluster, &self.table.rollouts)
    }

    /// Whether any rollout counts requests addressed to one track's own service: where none does, nobody need ask
    /// for the cluster.
    pub fn counts_direct(&self) -> bool {
        self.places.any_direct()
    }

    /// A rollout by its index in the table.
    pub fn rollout(&self, index: usize) -> Option<&Rollout> {
        self.table.rollouts.get(index)
    }

    /// The headers that [`Router::decide`] may ask for, each once, pseudo-headers included. Several are cheaper to
    /// fetch together.
    pub fn needs(&self, index: usize) -> &[String] {
        self.steerings.get(index).map_or(&[], |steering| &steering.needs)
    }

    /// Decides a request of one rollout. None only if there is no such rollout.
    ///
    /// At weight 0 the assignment is what the rules make it, the track is always primary, and no id is minted: there
    /// is no side to stay on.
    pub fn decide(&self, index: usize, request: &impl Request, dice: Dice) -> Option<Decision> {
        let rollout = self.table.rollouts.get(index)?;
        let steering = self.steerings.get(index)?;
        let route = steering.route(request);
        if let Some(track) = steering.ruled(rollout, request) {
            let track = if rollout.weight == Weight::ZERO { Track::Primary } else { track };
            let assignment = Assignment::Rule;
            return Some(Decision { track, assignment, key: None, route, cookie: None });
        }
        if let Some(key) = steering.key(rollout, request) {
            let track = Bucket::of(key.0).track(rollout.weight);
            let assignment = Assignment::Sticky;
            return Some(Decision { track, assignment, key: Some(key), route, cookie: None });
        }
        let cookie = minted(rollout, dice);
        let bits = cookie.map_or(dice.draw, |id| steering.salt.hash(&id.digits()).0);
        let track = Bucket::of(bits).track(rollout.weight);
        Some(Decision { track, assignment: Assignment::Weight, key: None, route, cookie })
    }

    fn of(table: Table, labels: &Labels, patterns: &Patterns) -> Self {
        let steering = |rollout| Steering::of(rollout, labels, patterns);
        let steerings = table.rollouts.iter().map(steering).collect();
        Self { places: Places::of(&table.rollouts), steerings, table }
    }
}

/// A new affinity id, where users are to have one and there are two sides.
fn minted(rollout: &Rollout, dice: Dice) -> Option<AffinityId> {
    let wanted = rollout.affinity.is_some() && rollout.weight != Weight::ZERO;
    wanted.then_some(AffinityId(dice.id))
}
