//! How a release ended, in one line for people or for programs.

use std::fmt;

use serde::Serialize;
use serin_rollout::Phase;
use serin_route::Track;

use super::text::{Sum, tame};
use crate::local::{Ending, Outcome};

/// How a release ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    outcome: Ending,
    phase: Phase,
    seconds: f64,
    reason: Option<String>,
    text: Option<String>,
    canary: Sum,
    primary: Sum,
    #[serde(skip_serializing_if = "Option::is_none")]
    unsaved: Option<String>,
}

impl Summary {
    /// The summary of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        let verdict = outcome.status.run.as_ref().and_then(|run| run.verdict.as_ref());
        Self {
            outcome: outcome.ending,
            phase: outcome.status.phase,
            seconds: outcome.ended.duration_since(outcome.started).as_secs_f64(),
            reason: verdict.map(|verdict| verdict.reason.clone()),
            text: verdict.map(|verdict| verdict.text.clone()),
            canary: Sum::of(&outcome.traffic, Track::Canary),
            primary: Sum::of(&outcome.traffic, Track::Primary),
            unsaved: outcome.unsaved.clone(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = match self.outcome {
            Ending::Promoted => "Promoted",
            Ending::RolledBack => "Rolled back",
        };
        write!(f, "{ending} after {:.1} s", self.seconds)?;
        if let (Ending::RolledBack, Some(reason)) = (self.outcome, &self.reason) {
            write!(f, " ({})", tame(reason))?;
        }
        write!(f, ": canary {}, primary {}", self.canary, self.primary)
    }
}
