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
    // One that was just made, and not scaled yet. One that was taken over is not made smaller: it serves.
    let first = !desired.initialized && facts.autoscaler.is_none() && now > 0;
    let wanted = if copied {
        target.replicas()
    } else if first && seen.primary.is_some() {
        now.max(target.replicas())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{at_rest, deployment, facts, in_rollout, object};
    use crate::kind::Kind;
    use serde_json::{Value, json};
    use serin_api::canary::AutoscalerRef;

    /// The target and primary with so many replicas; none is no primary.
    fn seen(target: i32, primary: Option<i32>) -> Observed {
        let sized = |name: &str, replicas: i32| {
            let mut it = deployment(name, "shop:1");
            it.data["spec"]["replicas"] = json!(replicas);
            it
        };
        let mut seen = Observed::new(sized("shop", target), Vec::new());
        seen.primary = primary.map(|replicas| sized("shop-primary", replicas));
        seen
    }

    /// What primary and the target are scaled to.
    fn made(facts: &Facts, desired: &Desired, seen: &Observed) -> [Option<i32>; 2] {
        let target = Target::read(&seen.target).unwrap();
        let all = scales(facts, desired, seen, &target);
        let of = |name: &str| all.iter().find(|it| it.name == name).map(|it| it.replicas);
        [of("shop-primary"), of("shop")]
    }

    #[test]
    fn the_target_keeps_its_pods_until_primary_has_served() {
        let first =
            |revision: &str| Desired { initialized: false, canary_runs: true, ..at_rest(revision) };
        let it = seen(3, None);
        assert_eq!(made(&facts(), &first(&it.revision), &it), [Some(3), None]);
        // Whoever made it may have ended before it was scaled.
        let it = seen(3, Some(1));
        assert_eq!(made(&facts(), &first(&it.revision), &it), [Some(3), None]);
        // Nor is it given any that its author did not want.
        let none = seen(0, None);
        assert_eq!(made(&facts(), &first(&none.revision), &none), [None, None]);
    }

    #[test]
    fn between_releases_the_target_has_none() {
        let it = seen(3, Some(3));
        assert_eq!(made(&facts(), &at_rest(&it.revision), &it), [None, Some(0)]);
        let it = seen(0, Some(5));
        assert_eq!(made(&facts(), &at_rest(&it.revision), &it), [None, None]);
    }

    #[test]
    fn a_canary_gets_as_many_as_primary_has() {
        let it = seen(0, Some(5));
        assert_eq!(made(&facts(), &in_rollout("r0", 0), &it), [None, Some(5)]);
        // Whatever somebody has scaled it to since is theirs.
        let it = seen(2, Some(5));
        assert_eq!(made(&facts(), &in_rollout("r0", 10), &it), [None, None]);
        // At promotion that becomes primary's.
        assert_eq!(made(&facts(), &in_rollout(&it.revision, 50), &it), [Some(2), None]);
    }

    #[test]
    fn an_autoscaler_decides_where_there_is_one() {
        let mut facts = facts();
        facts.autoscaler = Some(AutoscalerRef { name: "hpa".into(), ..AutoscalerRef::default() });
        let mut it = seen(0, Some(5));
        assert_eq!(made(&facts, &in_rollout("r0", 0), &it), [None, Some(1)]);
        let spec = |least: Value| json!({ "spec": { "minReplicas": least } });
        it.autoscaler = Some(object(Kind::Autoscaler, "hpa", spec(json!(4))));
        assert_eq!(made(&facts, &in_rollout("r0", 0), &it), [None, Some(4)]);
        let it = Observed { autoscaler: it.autoscaler, ..seen(2, Some(5)) };
        assert_eq!(made(&facts, &in_rollout(&it.revision, 50), &it), [None, None]);
    }

    #[test]
    fn a_primary_that_was_deleted_or_scaled_to_nothing_gets_back_what_it_had() {
        for primary in [None, Some(0)] {
            let mut it = seen(0, primary);
            it.primary_replicas = Some(6);
            assert_eq!(made(&facts(), &at_rest(&it.revision), &it), [Some(6), None]);
        }
        let it = seen(0, Some(0));
        assert_eq!(made(&facts(), &at_rest(&it.revision), &it), [Some(1), None]);
    }
}
