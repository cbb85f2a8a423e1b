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
    let word = |it: &mut Reader, value: &Value| it.text(value, &text::WORD);
    Some(Rollout {
        name,
        namespace,
        run: reader.required(object, "run", word),
        generation: reader
            .required(object, "generation", |it, value| it.integer(value, 0..=GENERATION_MAX)),
        salt: reader.required(object, "salt", |it, value| it.text(value, &text::SALT)),
        nonce: reader.required(object, "nonce", word),
        weight: reader.required(object, "weight", weight),
        rules: list(reader, object, "rules", RULES_MAX, rule),
        otherwise: reader.optional(object, "otherwise", otherwise).unwrap_or_default(),
        keys: list(reader, object, "keys", KEYS_MAX, key_source),
        affinity: reader.optional(object, "affinity", affinity).flatten(),
        edges_ms: reader.optional(object, "edgesMs", edges).unwrap_or_default(),
        routes: routes(reader, object),
        direct: reader
            .optional(object, "direct", |it, value| direct(it, value, clusters))
            .flatten(),
        grpc: reader.optional(object, "grpc", Reader::flag).unwrap_or_default(),
        retries: reader.optional(object, "retries", Reader::flag).unwrap_or_default(),
    })
}

fn identity(reader: &mut Reader, object: &Object, names: &mut Unique) -> (String, String) {
    let name = reader.required(object, "name", |it, value| it.text(value, &text::NAME));
    let namespace =
        reader.required(object, "namespace", |it, value| it.text(value, &text::NAMESPACE));
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

fn weight(reader: &mut Reader, value: &Value) -> Weight {
    let basis_points = reader.narrow(value, 0..=Weight::FULL.basis_points().into());
    Weight::from_basis_points(basis_points).unwrap_or_default()
}

fn edges(reader: &mut Reader, value: &Value) -> Vec<u32> {
    let mut before = 0;
    reader.list(value, EDGES_MAX, |reader, value| {
        let edge = reader.narrow(value, 1..=u32::MAX.into());
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
