//! What a Canary's author asked for, validated: the input of every step that does not change while it runs.

use std::time::Duration;

use serin_route::{Affinity, Direct, KeySource, Otherwise, RoutePattern, Rule, Weight};

/// A release's plan. Built by `api` from a Canary; whoever builds it has reported every problem already.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The Canary's own name, as messages have it.
    pub canary: String,
    /// The workload under release.
    pub target: String,
    /// The apex name, as routes have it.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// How traffic moves.
    pub schedule: Schedule,
    /// Between two rounds of checks, and the least time at each weight.
    pub interval: Duration,
    /// Failed rounds that end the release; they add up over the whole run.
    pub threshold: u32,
    /// Classical checks, in order.
    pub checks: Vec<Check>,
    /// Webhooks, in order.
    pub hooks: Vec<Hook>,
    /// How evidence is judged.
    pub evidence: Evidence,
    /// How the filter decides and counts.
    pub routing: Routing,
    /// Promote without analysis as soon as the canary is ready.
    pub skip_analysis: bool,
}

/// How traffic moves.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Weights and pauses, in order; promotion follows the last.
    Steps(Vec<ScheduleStep>),
    /// A/B: requests that a rule matches go to the canary for this many rounds.
    Ab {
        /// Rounds.
        iterations: u32,
    },
    /// Blue/green: no live traffic for this many rounds, then all of it for one.
    BlueGreen {
        /// Rounds.
        iterations: u32,
    },
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleStep {
    /// Set the canary's weight.
    SetWeight(Weight),
    /// Stay for a time, or until a person resumes.
    Pause(Option<Duration>),
}

/// A classical check: one number against fixed bounds, once each interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Its name in messages.
    pub name: String,
    /// Where the number comes from.
    pub source: CheckSource,
    /// The window it is computed over.
    pub interval: Duration,
    /// Fails strictly below.
    pub min: Option<f64>,
    /// Fails strictly above.
    pub max: Option<f64>,
}

/// Where a check's number comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckSource {
    /// Percent of canary requests that did not fail, from the filter's counts.
    SuccessRate,
    /// 99th percentile of canary latency in milliseconds, from the filter's counts.
    Duration99,
    /// A query, rendered; the shell asks the provider.
    Query {
        /// Base address of a Prometheus.
        address: String,
        /// The query's text.
        query: String,
    },
}

/// A webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// Its name in messages.
    pub name: String,
    /// When it is called and what its answer means.
    pub kind: HookKind,
    /// Where.
    pub url: String,
    /// For one attempt.
    pub timeout: Duration,
    /// Attempts beyond the first.
    pub retries: u32,
    /// Accept any certificate.
    pub insecure: bool,
    /// Sent along.
    pub metadata: std::collections::BTreeMap<String, String>,
}

/// Flagger's webhook types.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum HookKind {
    /// Gate before the run starts; closed holds in Waiting.
    ConfirmRollout,
    /// Before the first weight; a failure counts.
    PreRollout,
    /// Each round, before the checks; a failure counts.
    Rollout,
    /// Gate before each weight; closed holds.
    ConfirmTrafficIncrease,
    /// Gate before promotion; closed holds.
    ConfirmPromotion,
    /// After the end.
    PostRollout,
    /// Each round; success rolls back.
    Rollback,
    /// On every notice.
    Event,
}

/// How evidence is judged; the defaults are analysis.md §4.4 with §4.8.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Whether a verdict acts.
    pub mode: Mode,
    /// Probability of a false quarantine, at most.
    pub alpha_quarantine: f64,
    /// Probability of a false rollback, at most.
    pub alpha_rollback: f64,
    /// Probability of a false pass, at most.
    pub alpha_pass: f64,
    /// Odds ratio canary to primary that is tolerated.
    pub guard: f64,
    /// Error rate below which nothing is convicted, as a fraction.
    pub error_floor: f64,
    /// Share past a latency edge below which nothing is convicted, as a fraction.
    pub latency_floor: f64,
    /// Length of a block of bounded influence; none chooses by the number of canary pods.
    pub block: Option<Duration>,
    /// Latency within this time after the canary's first request is ignored.
    pub latency_warmup: Duration,
    /// Objectives that Pass evidence must show, and that are judged where tracks are not compared.
    pub objectives: Vec<Objective>,
    /// What an advance needs beside its interval and checks.
    pub gate: AdvanceGate,
    /// The longest time at one weight before `on_inconclusive`.
    pub dwell_max: Duration,
    /// What follows when that passes.
    pub on_inconclusive: OnInconclusive,
    /// What quarantine does to the weight.
    pub quarantine: QuarantineWeight,
}

/// An objective of the service.
#[derive(Clone, Debug, PartialEq)]
pub enum Objective {
    /// At most this fraction of requests fail.
    ErrorRate(f64),
    /// At most this fraction of requests take longer than so many milliseconds.
    Latency {
        /// Milliseconds; also a latency edge.
        threshold_ms: u32,
        /// The fraction: 0.01 says that the 99th percentile is below the threshold.
        over: f64,
    },
}

/// Whether a verdict acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It quarantines and rolls back.
    #[default]
    Enforce,
    /// It is only told.
    Observe,
}

/// What an advance needs beside its interval and checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdvanceGate {
    /// Nothing more.
    #[default]
    Checks,
    /// Requests that the canary has served at this weight, and proxies that report.
    Traffic,
    /// As `Traffic`, and Pass evidence for every objective.
    Pass,
}

/// What follows when the longest dwell passes without a verdict. The dwell is extended once before any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInconclusive {
    /// Hold the weight, tell a person.
    #[default]
    Hold,
    /// Advance all the same.
    Promote,
    /// Roll back.
    Rollback,
}

/// What quarantine does to the weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuarantineWeight {
    /// Lower it to max(1 %, 5 requests per second).
    #[default]
    Floor,
    /// Take all traffic away.
    Zero,
    /// Only label.
    Keep,
}

/// How the filter decides and counts; everything of a table's rollout that a run does not change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// As in [`serin_route::Rollout`].
    pub rules: Vec<Rule>,
    /// As in [`serin_route::Rollout`].
    pub otherwise: Otherwise,
    /// As in [`serin_route::Rollout`].
    pub keys: Vec<KeySource>,
    /// As in [`serin_route::Rollout`].
    pub affinity: Option<Affinity>,
    /// As in [`serin_route::Rollout`].
    pub edges_ms: Vec<u32>,
    /// As in [`serin_route::Rollout`].
    pub routes: Vec<RoutePattern>,
    /// As in [`serin_route::Rollout`].
    pub direct: Option<Direct>,
    /// As in [`serin_route::Rollout`].
    pub grpc: bool,
    /// As in [`serin_route::Rollout`].
    pub retries: bool,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            alpha_quarantine: 0.05,
            alpha_rollback: 0.001,
            alpha_pass: 0.05,
            guard: 1.5,
            error_floor: 0.001,
            latency_floor: 0.01,
            block: None,
            latency_warmup: Duration::from_secs(30),
            objectives: Vec::new(),
            gate: AdvanceGate::Checks,
            dwell_max: Duration::from_mins(10),
            on_inconclusive: OnInconclusive::Hold,
            quarantine: QuarantineWeight::Floor,
        }
    }
}
