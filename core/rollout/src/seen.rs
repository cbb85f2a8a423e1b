//! What a shell saw, and what it is asked to find out: the inputs of a step that come from the world.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{HookKind, Intent, Phase, Traffic};

/// One observation. Everything in it is as of `now`, the time that is given to the step beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// 32 random bytes, fresh for every step; a new run draws its identity from them.
    pub dice: [u8; 32],
    /// What a person wants, if anything new.
    pub intent: Option<Intent>,
    /// The target's revision.
    pub revision: String,
    /// The workloads.
    pub workloads: Workloads,
    /// The projection that the proxies show.
    pub projection: Projection,
    /// Counts of the run's traffic, from the reports.
    pub traffic: Traffic,
    /// Answers to probes that were wanted.
    pub answers: Vec<Answer>,
}

/// Readiness of both tracks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workloads {
    /// Primary's readiness.
    pub primary: Readiness,
    /// The revision primary runs, once it is ready at it.
    pub primary_revision: String,
    /// The canary's readiness.
    pub canary: Readiness,
    /// Ready canary pods (or addresses).
    pub canary_pods: u32,
}

/// Whether a workload can serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// Not yet; why.
    #[default]
    Waiting,
    /// It never will; why.
    Failed(String),
}

/// Whether what was decided is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// The projection of the committed status has been applied.
    pub applied: bool,
    /// Whether the proxies show the generation of that status.
    pub acknowledged: Acknowledged,
}

/// Whether the proxies show the generation in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledged {
    /// Not yet.
    #[default]
    No,
    /// All of them.
    Yes,
    /// Thirty seconds have passed without; go on with a warning.
    Overdue,
}

/// A question that a step wants answered. May be repeated, may be lost; the shell bounds and runs it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe {
    /// Ask the provider of `plan.checks[index]`.
    Check {
        /// Index into the plan's checks.
        index: usize,
        /// The round that wants it.
        round: u64,
    },
    /// Call `plan.hooks[index]`.
    Hook {
        /// Index into the plan's hooks.
        index: usize,
        /// The round that wants it.
        round: u64,
        /// Sent along.
        phase: Phase,
        /// The hook's kind, for the shell's logs.
        kind: HookKind,
    },
}

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question.
    pub probe: Probe,
    /// What came back.
    pub result: Result<Value, String>,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Value {
    /// A query's number.
    Number(f64),
    /// A query's answer without data: neither pass nor fail.
    NoData,
    /// A webhook said yes (200 to 202).
    Approved,
}

/// The body of a webhook call, as Flagger sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookPayload {
    /// The Canary's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its phase.
    pub phase: Phase,
    /// Identifies the revision under trial.
    pub checksum: String,
    /// From the hook; for events, with the event's own.
    pub metadata: BTreeMap<String, String>,
}
