//! Which track serves this request?
//!
//! The controller writes a [`Table`] and every filter reads it; the filter counts what became of each request and
//! sends a [`Report`] back. Both are one Rust type each, so that the two ends cannot disagree.
//!
//! Nothing here performs I/O, reads a clock or draws a random number: a request is a [`Request`], randomness is an
//! argument.
//!
//! ```
//! # use std::borrow::Cow;
//! use serin_route::{Dice, Labels, Request, Router, Track};
//!
//! struct Browser;
//! impl Request for Browser {
//!     fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
//!         (name == "x-user").then_some(Cow::Borrowed(b"alice"))
//!     }
//! }
//!
//! let table = br#"{ "version": 1, "scope": "prod", "rollouts": [{
//!     "name": "shop", "namespace": "prod", "run": "r1", "generation": 1, "nonce": "n1",
//!     "salt": "000102030405060708090a0b0c0d0e0f", "weight": 2500,
//!     "keys": [{ "header": "x-user" }] }] }"#;
//! let router = Router::parse(table, &Labels::new())?;
//! let place = router.locate(b"serin/shop.prod/primary").unwrap();
//! let decision = router.decide(place.rollout, &Browser, Dice { draw: 7, id: 7 }).unwrap();
//! assert_eq!(decision.track, Track::Primary);
//! # Ok::<(), serin_route::Problems>(())
//! ```

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod affinity;
mod bucket;
mod matcher;
mod outcome;
mod parts;
mod place;
mod problem;
mod read;
mod receive;
mod report;
mod request;
mod router;
mod steering;
mod table;
mod tally;
mod weight;

pub use affinity::{AffinityId, set_cookie};
pub use bucket::Dice;
pub use matcher::Labels;
pub use outcome::{Ending, Outcome};
pub use place::{Kind, Place, route_name};
pub use problem::{Problem, Problems};
pub use receive::ReportError;
pub use report::{
    Cell, GenerationReport, KeyHash, KeyHashError, Keyed, Latency, Report, RolloutReport, Upstream,
};
pub use request::{Request, Scheme};
pub use router::{Decision, Router};
pub use table::{
    Affinity, Condition, Direct, KeySource, Otherwise, Reports, Rollout, RoutePattern, Rule,
    SameSite, Secure, Side, Subject, Table, Test, Then, VERSION,
};
pub use tally::{Closing, Delta, Opening, Tally, Ticket};
pub use weight::{Weight, WeightError};

use serde::{Deserialize, Serialize};

/// The request header that steers: the canary's route matches it exactly, with the run's nonce as value.
pub const TRACK_HEADER: &str = "x-serin-track";

/// Which version serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    /// The version that serves by default.
    Primary,
    /// The version under trial.
    Canary,
}

/// How a request came to its track. Only [`Assignment::Weight`] and [`Assignment::Sticky`] are randomised, so only
/// they are compared between tracks; the rest is judged against objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assignment {
    /// Drawn for this request alone, or by an affinity id minted for this very answer.
    Weight,
    /// Drawn once for a key (user, affinity cookie, request id) that this request shares with others.
    Sticky,
    /// Sent by a rule: self-selected traffic.
    Rule,
    /// Addressed to one track's own service by the caller.
    Direct,
}
