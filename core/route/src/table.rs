//! The filter's config on the wire: one table for each scope, written by the controller, read by the filter.
//!
//! JSON, camelCase. Unknown fields are ignored, so that an old filter reads a new table; an unknown *meaning* (version,
//! kind of test, source of a key …) refuses the whole table, and the filter keeps the last good one.

use serde::{Deserialize, Serialize};

use crate::{Track, Weight};

/// The version of the table and of the report that this code speaks.
pub const VERSION: u32 = 1;

/// All rollouts that the Envoys of one scope may reach.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// Always [`VERSION`].
    pub version: u32,
    /// The scope's name; reports carry it.
    pub scope: String,
    /// Which side of the connection this filter stands on.
    #[serde(skip_serializing_if = "is_default")]
    pub side: Side,
    /// Another scope's filter may run in the same Envoy: claim each stream, and leave claimed ones alone.
    #[serde(skip_serializing_if = "is_default")]
    pub claim: bool,
    /// Where reports go; none are sent without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reports: Option<Reports>,
    /// The rollouts, at most one for each name and namespace.
    pub rollouts: Vec<Rollout>,
}

/// Where a filter stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The caller's: it decides and counts.
    #[default]
    Client,
    /// The canary pods' own: it only counts, everything as canary, assigned `direct`.
    Server,
}

/// The receiver of reports, as Envoy knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reports {
    /// Envoy's name of the cluster.
    pub cluster: String,
    /// The `:authority` of the call.
    pub authority: String,
    /// The `:path` of the call.
    pub path: String,
    /// Sent as `authorization: Bearer …`.
    pub token: String,
    /// Milliseconds between two reports while a rollout runs; 100 to 60 000.
    pub period_ms: u32,
}

/// One rollout: how its requests are decided and counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The Canary's apex name; with the namespace it is what route names carry.
    pub name: String,
    /// The Canary's namespace.
    pub namespace: String,
    /// Identity of the run; counters of different runs never mix.
    pub run: String,
    /// Counts up with every change of this rollout within its run; the weight is constant within one.
    pub generation: u64,
    /// Key of the bucket hash, 32 hexadecimal digits; one for each run.
    pub salt: String,
    /// The value of `x-serin-track` that the canary's route matches; one for each run.
    pub nonce: String,
    /// The canary's share. At 0 everything goes to primary, whatever the rules say.
    pub weight: Weight,
    /// Tried in order before the weight; the first that matches decides.
    #[serde(skip_serializing_if = "is_default")]
    pub rules: Vec<Rule>,
    /// What a request gets that no rule matches.
    #[serde(skip_serializing_if = "is_default")]
    pub otherwise: Otherwise,
    /// Where a user's key is looked for, in order. The first that is present and not empty makes the draw sticky.
    #[serde(skip_serializing_if = "is_default")]
    pub keys: Vec<KeySource>,
    /// A cookie minted for users without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Latency edges in milliseconds, strictly rising, at most 64.
    #[serde(skip_serializing_if = "is_default")]
    pub edges_ms: Vec<u32>,
    /// Routes that are counted apart, at most 16; the first that matches names the request.
    #[serde(skip_serializing_if = "is_default")]
    pub routes: Vec<RoutePattern>,
    /// Count requests addressed to one track's own service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct: Option<Direct>,
    /// Requests may be gRPC: the outcome is in `grpc-status`.
    #[serde(skip_serializing_if = "is_default")]
    pub grpc: bool,
    /// Count attempts beyond the first.
    #[serde(skip_serializing_if = "is_default")]
    pub retries: bool,
}

/// Conditions that must all hold, and what follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// All must hold; none always holds.
    #[serde(skip_serializing_if = "is_default")]
    pub when: Vec<Condition>,
    /// What follows.
    pub then: Then,
}

/// The consequence of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// Serve by primary.
    Primary,
    /// Serve by canary.
    Canary,
    /// Draw by weight.
    Weighted,
}

/// The fate of a request that no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Otherwise {
    /// Draw by weight.
    #[default]
    Weighted,
    /// Serve by primary, uncompared.
    Primary,
}

/// One condition on a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is looked at.
    pub of: Subject,
    /// What it must be.
    pub is: Test,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A header, by its lower-case name.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A query parameter, percent-decoded.
    Query(String),
    /// A label of the calling pod; settled when the table is loaded.
    Label(String),
    /// The method.
    Method,
    /// The path, without its query.
    Path,
    /// The `:authority`.
    Authority,
}

/// A test of a value. An absent value passes [`Test::Absent`] only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Test {
    /// Equal, byte by byte.
    Exact(String),
    /// Begins so.
    Prefix(String),
    /// Ends so.
    Suffix(String),
    /// The whole value matches; linear time. A value that is not UTF-8, or longer than 2 KiB, does not match.
    Regex(String),
    /// There is one, be it empty.
    Present,
    /// There is none.
    Absent,
}

/// Where a user's key is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// A header, by its lower-case name.
    Header(String),
    /// A cookie of the first `cookie` header; see [`crate::Request::header`].
    Cookie(String),
    /// `x-request-id`: every hop of one trace draws alike.
    RequestId,
}

/// The affinity cookie. It holds a random id, never a track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Affinity {
    /// The cookie's name.
    pub cookie: String,
    /// `Max-Age` in seconds.
    pub max_age_s: u32,
    /// `Domain`; the answering host alone without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// `Path`.
    pub path: String,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `Secure`.
    pub secure: Secure,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Partitioned`.
    #[serde(skip_serializing_if = "is_default")]
    pub partitioned: bool,
}

/// When the affinity cookie is marked `Secure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Secure {
    /// When the request came by https (`x-forwarded-proto`).
    #[default]
    WhenHttps,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The cookie's `SameSite` attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum SameSite {
    /// Never sent from other sites.
    Strict,
    /// Sent on top-level navigation.
    #[default]
    Lax,
    /// Always sent; browsers demand `Secure` with it.
    None,
}

/// A route to be counted apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutePattern {
    /// Its name in reports and evidence.
    pub name: String,
    /// All must hold. Methods, paths and authorities only.
    #[serde(skip_serializing_if = "is_default")]
    pub when: Vec<Condition>,
}

/// Envoy clusters of the tracks' own services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Direct {
    /// Cluster names (`outbound|80||X-primary.ns.svc.cluster.local`).
    #[serde(skip_serializing_if = "is_default")]
    pub primary: Vec<String>,
    /// Cluster names (`outbound|80||X-canary.ns.svc.cluster.local`).
    #[serde(skip_serializing_if = "is_default")]
    pub canary: Vec<String>,
}

impl Default for Table {
    /// A table without rollouts, scope and receiver.
    fn default() -> Self {
        Self {
            version: VERSION,
            scope: String::new(),
            side: Side::default(),
            claim: false,
            reports: None,
            rollouts: Vec::new(),
        }
    }
}

impl Reports {
    /// The period where a table does not say: the verdict moves once a second.
    pub const PERIOD_MS: u32 = 1000;
}

impl Affinity {
    /// `Max-Age` where a table does not say: a day.
    pub const MAX_AGE_S: u32 = 86_400;
}

impl Direct {
    /// Which track's own service a cluster is.
    pub fn track(&self, cluster: &str) -> Option<Track> {
        let is = |names: &[String]| names.iter().any(|name| name == cluster);
        is(&self.canary)
            .then_some(Track::Canary)
            .or_else(|| is(&self.primary).then_some(Track::Primary))
    }
}

/// What a table leaves out; [`crate::Router::parse`] puts it back.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
