//! A file's text becomes a plan, or everything that is wrong with it.

use serin_api::{Problems, local_problems, read};
use serin_rollout::Plan;

/// A small Canary, for tests: `shop.prod`.
#[cfg(test)]
pub(crate) const SHOP: &str = include_str!("../../tests/shop.yaml");

/// The plan of the Canary in a text. A problem with its text is told before one with its meaning.
pub(crate) fn plan(text: &str) -> Result<Plan, Problems> {
    let objects = read(text)?;
    let mut problems = local_problems(&objects.canary, &objects.templates);
    match objects.plan() {
        Ok(plan) => objects.located(problems).or(plan),
        Err(more) => {
            problems.extend(more);
            Err(objects.located(problems))
        }
    }
}
