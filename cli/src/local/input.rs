//! A file's text becomes a plan, or everything that is wrong with it.

use serin_api::{Problems, local_problems, read_and};
use serin_rollout::Plan;

/// A small Canary, for tests: `shop.prod`.
#[cfg(test)]
pub(crate) const SHOP: &str = include_str!("../../tests/shop.yaml");

/// The plan of the Canary in a text.
pub(crate) fn plan(text: &str) -> Result<Plan, Problems> {
    let objects = read_and(text, local_problems)?;
    let mut problems = local_problems(&objects.canary, &objects.templates);
    match objects.plan() {
        Ok(plan) => objects.located(problems).or(plan),
        Err(more) => {
            problems.extend(more);
            Err(objects.located(problems))
        }
    }
}
