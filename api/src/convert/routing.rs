//! How the filter decides and counts. What a table may hold is its reader's to say: the routing is written as a table
//! and read back here, and every problem goes back to the field that caused it.

use serin_rollout::{Check, CheckSource, Evidence, Routing};
use serin_route::{
    Direct, Labels, Otherwise, Rollout, RoutePattern, Router, Rule, Side, Table, Then, VERSION,
    Weight,
};

use super::affinity::{affinity, key};
use super::edges::edges;
use super::matching::{conditions, route};
use crate::field::Field;
use crate::{Canary, Problems, keys};

/// Everything of a table's rollout that a run does not change.
pub(super) fn routing(
    canary: &Canary,
    checks: &[Check],
    evidence: &Evidence,
    problems: &mut Problems,
) -> Routing {
    let analysis = &canary.spec.analysis;
    let mut origins = Origins::default();
    let rules = rules(canary, &mut origins, problems);
    let service = canary.spec.service.as_ref();
    let field = Field::root("spec.analysis.sessionAffinity");
    let cookie = analysis.session_affinity.as_ref().map(|it| affinity(it, &field, problems));
    let field = Field::root("spec.analysis.userKey");
    let keys = analysis.user_key.iter().enumerate();
    let keys = keys.filter_map(|(index, it)| key(it, &field.nth(index), problems)).collect();
    let routing = Routing {
        otherwise: if rules.is_empty() { Otherwise::Weighted } else { Otherwise::Primary },
        rules,
        keys,
        affinity: cookie,
        edges_ms: edges(checks, evidence, problems),
        routes: routes(canary, &mut origins, problems),
        direct: direct(canary, checks),
        grpc: speaks_grpc(canary),
        retries: service.is_some_and(|service| service.retries.is_some()),
    };
    origins.judge(canary, &routing, problems);
    routing
}

/// Those who match draw by weight; in an A/B test they all meet the canary. Nobody else does.
fn rules(canary: &Canary, origins: &mut Origins, problems: &mut Problems) -> Vec<Rule> {
    let analysis = &canary.spec.analysis;
    let ab = analysis.iterations.is_some_and(|iterations| iterations != 0);
    let then = if ab { Then::Canary } else { Then::Weighted };
    let field = Field::root("spec.analysis.match");
    let mut rules = Vec::new();
    for (index, given) in analysis.matching.iter().enumerate() {
        let traced = conditions(given, &field.nth(index), problems);
        let (when, fields) = traced.into_iter().unzip();
        rules.push(Rule { when, then });
        origins.conditions(&format!("rules[{index}]"), fields);
    }
    rules
}

fn routes(canary: &Canary, origins: &mut Origins, problems: &mut Problems) -> Vec<RoutePattern> {
    let field = Field::root("spec.analysis.routes");
    let mut patterns = Vec::new();
    for (index, given) in canary.spec.analysis.routes.iter().enumerate() {
        let (pattern, fields) = route(given, &field.nth(index), problems);
        patterns.push(pattern);
        origins.conditions(&format!("routes[{index}]"), fields);
    }
    patterns
}

/// The tracks' own services, where checks use the filter's counts: load tests are often aimed there.
fn direct(canary: &Canary, checks: &[Check]) -> Option<Direct> {
    let service = canary.spec.service.as_ref()?;
    let counts = |check: &Check| !matches!(check.source, CheckSource::Query { .. });
    checks.iter().any(counts).then(|| {
        let (apex, namespace, port) = (canary.apex(), canary.namespace(), service.port);
        let cluster = |suffix: &str| {
            vec![format!("outbound|{port}||{apex}{suffix}.{namespace}.svc.cluster.local")]
        };
        Direct { primary: cluster(keys::PRIMARY_SUFFIX), canary: cluster(keys::CANARY_SUFFIX) }
    })
}

/// Whether a port's name or protocol says gRPC, as Istio reads them.
fn speaks_grpc(canary: &Canary) -> bool {
    let service = canary.spec.service.as_ref();
    let names = service.map(|service| [&service.port_name, &service.app_protocol]);
    names.into_iter().flatten().flatten().any(|name| {
        let name = name.to_ascii_lowercase();
        name == "grpc" || name.starts_with("grpc-")
    })
}

/// Which field each place of the table comes from.
#[derive(Default)]
struct Origins(Vec<(String, Field)>);

impl Origins {
    fn conditions(&mut self, place: &str, fields: Vec<Field>) {
        for (index, field) in fields.into_iter().enumerate() {
            self.0.push((format!("rollouts[0].{place}.when[{index}]"), field));
        }
    }

    /// Has the table's reader judge the routing. What it finds at a field that has a problem already is an echo.
    fn judge(&self, canary: &Canary, routing: &Routing, problems: &mut Problems) {
        let json = serde_json::to_vec(&table(canary, routing)).unwrap_or_default();
        let Err(found) = Router::parse(&json, &Labels::new()) else { return };
        for problem in found.list() {
            let (field, rest) = self.field(canary, &problem.path);
            let path = format!("{field}{rest}");
            if !problems.iter().any(|known| known.path == path) {
                problems.add(path, translated(&problem.message));
            }
        }
        if found.more() > 0 {
            problems.add("spec.analysis", format!("has {} more problems like these", found.more()));
        }
    }

    /// The field of a place, and what of the place it leaves over and a person can use.
    fn field<'p>(&self, canary: &Canary, place: &'p str) -> (Field, &'p str) {
        if let Some((_, field)) = self.0.iter().find(|(at, _)| place.starts_with(at.as_str())) {
            return (field.clone(), "");
        }
        let service = canary.spec.service.as_ref().and_then(|service| service.name.as_ref());
        let apex = if service.is_some() { "spec.service.name" } else { "spec.targetRef.name" };
        let fixed = [
            ("rollouts[0].namespace", "metadata.namespace"),
            ("rollouts[0].name", apex),
            ("rollouts[0].direct", apex),
            ("rollouts[0].rules", "spec.analysis.match"),
            ("rollouts[0].keys", "spec.analysis.userKey"),
            ("rollouts[0].routes", "spec.analysis.routes"),
            ("rollouts[0].affinity.cookie", "spec.analysis.sessionAffinity.cookieName"),
            ("rollouts[0].affinity.maxAgeS", "spec.analysis.sessionAffinity.maxAge"),
            ("rollouts[0].affinity", "spec.analysis.sessionAffinity"),
        ];
        let known = fixed.iter().find_map(|(at, field)| Some((*field, place.strip_prefix(at)?)));
        let (field, rest) = known.unwrap_or(("spec.analysis", ""));
        // A name has no parts that its author wrote.
        (Field::root(field), if field == apex { "" } else { rest })
    }
}

/// A message of the table's reader in the words of the Canary.
fn translated(message: &str) -> String {
    let routes = message.replace("rollouts[0].routes", "spec.analysis.routes");
    routes.replace("forbids never", "forbids false")
}

/// A table of one rollout. What a run brings is made up: it is not what is judged.
fn table(canary: &Canary, routing: &Routing) -> Table {
    let routing = routing.clone();
    let rollout = Rollout {
        name: canary.apex().to_owned(),
        namespace: canary.namespace().to_owned(),
        run: "run".to_owned(),
        generation: 0,
        salt: "0".repeat(32),
        nonce: "nonce".to_owned(),
        weight: Weight::ZERO,
        rules: routing.rules,
        otherwise: routing.otherwise,
        keys: routing.keys,
        affinity: routing.affinity,
        edges_ms: routing.edges_ms,
        routes: routing.routes,
        direct: routing.direct,
        grpc: routing.grpc,
        retries: routing.retries,
    };
    Table {
        version: VERSION,
        scope: "plan".to_owned(),
        side: Side::Client,
        claim: false,
        reports: None,
        rollouts: vec![rollout],
    }
}
