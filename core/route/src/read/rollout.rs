//! Reading one rollout.

use serde_json::Value;

use super::affinity::affinity;
use super::reader::{Object, Reader, Unique};
use super::rule::{key_source, otherwise, route_pattern, rule};
use super::text;
use crate::{Direct, Rollout, Weight};

const RULES_MAX: usize = 256;
const KEYS_MAX: usize = 16;
const EDGES_MAX: usize = 64;
const ROUTES_MAX: usize = 16;
const CLUSTERS_MAX: usize = 256;
/// Kubernetes' `Struct` carries numbers as floats, exact up to here.
const GENERATION_MAX: u64 = 1 << 53;

pub(super) fn rollout(
    reader: &mut Reader,
    value: &Value,
    names: &mut Unique,
    clusters: &mut Unique,
) -> Option<Rollout> {
    let object = reader.object(value)?;
    let (name, namespace) = identity(reader, object, names);
    Some(Rollout {
        name,
        namespace,
        run: reader.required_text(object, "run", &text::WORD),
        generation: reader.required_integer(object, "generation", 0..=GENERATION_MAX),
        salt: reader.required_text(object, "salt", &text::SALT),
        nonce: reader.required_text(object, "nonce", &text::NONCE),
        weight: weight(reader, object),
        rules: list(reader, object, "rules", RULES_MAX, rule),
        otherwise: reader.optional(object, "otherwise", otherwise).unwrap_or_default(),
        keys: list(reader, object, "keys", KEYS_MAX, key_source),
        affinity: reader.optional(object, "affinity", affinity).flatten(),
        edges_ms: reader.optional(object, "edgesMs", edges).unwrap_or_default(),
        routes: routes(reader, object),
        direct: reader
            .optional(object, "direct", |it, value| direct(it, value, clusters))
            .flatten(),
        grpc: reader.flag(object, "grpc", false),
        retries: reader.flag(object, "retries", false),
    })
}

fn identity(reader: &mut Reader, object: &Object, names: &mut Unique) -> (String, String) {
    let name = reader.required_text(object, "name", &text::NAME);
    let namespace = reader.required_text(object, "namespace", &text::NAMESPACE);
    if !name.is_empty() && !namespace.is_empty() {
        names.check(reader, &format!("{name}.{namespace}"));
    }
    (name, namespace)
}

fn list<T>(
    reader: &mut Reader,
    object: &Object,
    name: &'static str,
    max: usize,
    read: fn(&mut Reader, &Value) -> Option<T>,
) -> Vec<T> {
    reader.optional(object, name, |it, value| it.list(value, max, read)).unwrap_or_default()
}

fn weight(reader: &mut Reader, object: &Object) -> Weight {
    let full = Weight::FULL.basis_points().into();
    let basis_points = u16::try_from(reader.required_integer(object, "weight", 0..=full));
    Weight::from_basis_points(basis_points.unwrap_or_default()).unwrap_or_default()
}

fn edges(reader: &mut Reader, value: &Value) -> Vec<u32> {
    let mut before = 0;
    reader.list(value, EDGES_MAX, |reader, value| {
        let edge = u32::try_from(reader.integer(value, 1..=u32::MAX.into())).ok()?;
        if edge <= before {
            reader.problem(format!("edges must rise: {edge} follows {before}"));
        }
        before = edge;
        Some(edge)
    })
}

fn routes(reader: &mut Reader, object: &Object) -> Vec<crate::RoutePattern> {
    let mut names = Unique::default();
    let read = |reader: &mut Reader, value: &Value| route_pattern(reader, value, &mut names);
    reader
        .optional(object, "routes", |reader, value| reader.list(value, ROUTES_MAX, read))
        .unwrap_or_default()
}

fn direct(reader: &mut Reader, value: &Value, clusters: &mut Unique) -> Option<Direct> {
    let object = reader.object(value)?;
    let mut names = |reader: &mut Reader, name| {
        let cluster = |reader: &mut Reader, value: &Value| {
            let cluster = reader.text(value, &text::VALUE);
            clusters.check(reader, &cluster);
            Some(cluster)
        };
        let read = |reader: &mut Reader, value: &Value| reader.list(value, CLUSTERS_MAX, cluster);
        reader.optional(object, name, read).unwrap_or_default()
    };
    let (primary, canary) = (names(reader, "primary"), names(reader, "canary"));
    Some(Direct { primary, canary })
}
