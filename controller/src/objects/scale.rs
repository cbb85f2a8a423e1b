//! How many pods run. Replicas are set only where they must change, by a patch of their own: applied with the rest
//! they would be taken from the autoscaler, and given back as one.

use serin_rollout::Desired;

use super::autoscaler;
use super::config::Follows;
use super::facts::{Facts, Observed};
use super::target::{Target, replicas};
use super::workload::{follows, primary_name};

/// A workload's replicas are to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The Deployment.
    pub name: String,
    /// Its replicas from now on.
    pub replicas: i32,
}

/// Primary first, then the target.
pub(super) fn scales(
    facts: &Facts,
    desired: &Desired,
    seen: &Observed,
    target: &Target<'_>,
) -> Vec<Scale> {
    let name = primary_name(facts);
    let primary = primary(facts, desired, seen, target).map(|replicas| Scale { name, replicas });
    let name = facts.target.clone();
    let canary = canary(facts, desired, seen, target).map(|replicas| Scale { name, replicas });
    primary.into_iter().chain(canary).collect()
}

/// The replicas that primary should have if nobody has decided it yet.
pub(super) fn wanted_of_primary(facts: &Facts, seen: &Observed, target: &Target<'_>) -> i32 {
    let scaled = autoscaler::least(facts, seen);
    let remembered = seen.primary_replicas.filter(|replicas| *replicas > 0);
    let targets = Some(target.replicas()).filter(|replicas| *replicas > 0);
    remembered.or(targets).or(scaled).unwrap_or(1)
}

fn primary(facts: &Facts, desired: &Desired, seen: &Observed, target: &Target<'_>) -> Option<i32> {
    // One that does not exist is made with Kubernetes' default.
    let now = seen.primary.as_ref().map_or(1, replicas);
    // At promotion it becomes what the target is, size included.
    let follows = follows(desired, seen) == Follows::Target && desired.canary_runs;
    let copied = follows && facts.autoscaler.is_none() && target.replicas() > 0;
    let wanted = if copied {
        target.replicas()
    } else if seen.primary.is_none() || now == 0 {
        wanted_of_primary(facts, seen, target)
    } else {
        now
    };
    (wanted != now).then_some(wanted)
}

fn canary(facts: &Facts, desired: &Desired, seen: &Observed, target: &Target<'_>) -> Option<i32> {
    let now = target.replicas();
    let wanted = match (desired.canary_runs, now) {
        // Its pods are its author's until primary serves.
        _ if !desired.initialized => now,
        (false, _) => 0,
        (true, 0) => autoscaler::least(facts, seen)
            .unwrap_or_else(|| seen.primary.as_ref().map_or(1, replicas).max(1)),
        (true, now) => now,
    };
    (wanted != now).then_some(wanted)
}
