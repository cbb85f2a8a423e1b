//! What a Canary means: spec to plan.

use serin_rollout::Plan;

use crate::{Canary, MetricTemplate, Problems};

/// What a Canary means. Reports everything that is wrong with it, not the first thing only.
pub fn plan(_canary: &Canary, _templates: &[MetricTemplate]) -> Result<Plan, Problems> {
    Err(Problems::default())
}
