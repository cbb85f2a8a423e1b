//! What Envoy should show, and the order in which its parts are written so that no request falls between them.

use serin_route::{Table, Track, Weight};

use super::Service;

/// What Envoy should show.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Routes and addresses. Their number and names do not change while Envoy runs: each has its clusters.
    pub services: Vec<Service>,
    /// The filter's table.
    pub table: Table,
    /// How often the filter was started anew: as many spaces follow the table, for a text that differs does that.
    pub revivals: usize,
}

/// One file to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// The addresses of the service with this index.
    Endpoints(usize),
    /// The route table.
    Routes,
    /// The filter's table.
    Filter,
}

impl Projection {
    /// The canary can get requests.
    pub fn steers(&self) -> bool {
        self.weight() > Weight::ZERO || self.services.iter().any(|it| it.steering.is_some())
    }

    /// The same with all traffic to primary and nothing to decide.
    #[must_use]
    pub fn without_canary(&self) -> Self {
        let mut without = self.clone();
        for service in &mut without.services {
            service.steering = None;
            service.default = Track::Primary;
        }
        without.table.rollouts.clear();
        without
    }

    /// Whether another gives the canary more than this. Where primary is given up, that is not the question.
    pub fn gives_less_than(&self, other: &Self) -> bool {
        let given_up = self.services.iter().any(|service| service.default == Track::Canary);
        !given_up && (self.weight() < other.weight() || (other.steers() && !self.steers()))
    }

    fn weight(&self) -> Weight {
        self.table.rollouts.iter().map(|rollout| rollout.weight).max().unwrap_or(Weight::ZERO)
    }

    /// The filter's configuration.
    pub fn table_json(&self) -> String {
        // A table has string keys and finite numbers only, so this cannot fail; an empty configuration would be kept
        // out by the filter, which then holds its last good one.
        let table = serde_json::to_string(&self.table).unwrap_or_default();
        table + &" ".repeat(self.revivals)
    }
}

/// The files that differ, in a safe order: addresses first, then a new route before the filter steers into it; a route
/// that goes does so after the filter has let go of it.
pub fn updates(from: Option<&Projection>, to: &Projection) -> Vec<Update> {
    let mut updates: Vec<Update> = (0..to.services.len())
        .filter(|index| !from.is_some_and(|from| same_addresses(from, to, *index)))
        .map(Update::Endpoints)
        .collect();
    let routes = !from.is_some_and(|from| same_routes(from, to));
    let filter = from.is_none_or(|from| from.table != to.table || from.revivals != to.revivals);
    let order = if from.is_some_and(|from| lets_go(from, to)) {
        [(filter, Update::Filter), (routes, Update::Routes)]
    } else {
        [(routes, Update::Routes), (filter, Update::Filter)]
    };
    updates.extend(order.into_iter().filter_map(|(differs, update)| differs.then_some(update)));
    updates
}

fn same_addresses(from: &Projection, to: &Projection, index: usize) -> bool {
    match (from.services.get(index), to.services.get(index)) {
        (Some(old), Some(new)) => old.primary == new.primary && old.canary == new.canary,
        _ => false,
    }
}

fn same_routes(from: &Projection, to: &Projection) -> bool {
    let shape =
        |service: &Service| (service.domains.clone(), service.steering.clone(), service.default);
    from.services.iter().map(shape).eq(to.services.iter().map(shape))
}

/// A canary's route goes.
fn lets_go(from: &Projection, to: &Projection) -> bool {
    from.services
        .iter()
        .zip(&to.services)
        .any(|(old, new)| old.steering.is_some() && new.steering.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::fixture::projection;

    fn steering(mut projection: Projection, nonce: Option<&str>) -> Projection {
        projection.services[0].steering = nonce.map(str::to_owned);
        projection.table.claim = nonce.is_some();
        projection
    }

    #[test]
    fn the_first_time_everything_is_written_and_the_second_time_nothing() {
        let to = projection();
        let all = [Update::Endpoints(0), Update::Routes, Update::Filter];
        assert_eq!(updates(None, &to), all);
        assert_eq!(updates(Some(&to), &to), []);
    }

    #[test]
    fn a_route_comes_before_the_filter_steers_and_goes_after() {
        let (without, with) = (projection(), steering(projection(), Some("abc")));
        assert_eq!(updates(Some(&without), &with), [Update::Routes, Update::Filter]);
        assert_eq!(updates(Some(&with), &without), [Update::Filter, Update::Routes]);
    }

    #[test]
    fn addresses_change_before_anything_leads_to_them() {
        let from = projection();
        let mut to = steering(projection(), Some("abc"));
        to.services[0].primary = to.services[0].canary.clone();
        assert_eq!(
            updates(Some(&from), &to),
            [Update::Endpoints(0), Update::Routes, Update::Filter]
        );
    }

    #[test]
    fn less_for_the_canary_is_a_lower_weight_or_no_route_unless_primary_is_given_up() {
        let weighing = |percent| {
            let weight = Weight::from_percent(percent);
            let run = serin_rollout::Run { weight, ..Default::default() };
            let status = serin_rollout::Status { run: Some(run), ..Default::default() };
            let plan = crate::local::input::plan(crate::local::input::SHOP).unwrap();
            let mut it = steering(projection(), Some("abc"));
            it.table.rollouts =
                serin_rollout::desired(&plan, &status).rollout.into_iter().collect();
            it
        };
        let half = weighing(50);
        assert!(weighing(10).gives_less_than(&half) && !half.gives_less_than(&weighing(10)));
        assert!(!half.gives_less_than(&half) && half.steers());
        let without = half.without_canary();
        assert!(without.gives_less_than(&half) && !without.steers());
        let mut given_up = without.clone();
        given_up.services[0].default = Track::Canary;
        assert!(!given_up.gives_less_than(&half));
        assert_eq!(given_up.without_canary(), without);
    }

    #[test]
    fn a_new_weight_is_one_file() {
        let from = projection();
        let mut to = projection();
        to.table.claim = true;
        assert_eq!(updates(Some(&from), &to), [Update::Filter]);
    }
}
