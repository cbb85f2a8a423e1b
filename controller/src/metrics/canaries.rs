//! Flagger's series, of the Canaries that there are: written at each scrape from what is known then, so that whoever is
//! gone has none. A series is named by the target, as Flagger does; it is that of the Canary that serves it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use serin_api::canary::CanaryPhase;
use serin_api::{Canary, Release, keys};
use serin_rollout::{CheckSource, Schedule};

use crate::decide::Decision;
use crate::interests::Key;

/// As every Prometheus client has them by default.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What is known of all Canaries.
#[derive(Debug, Default)]
pub(super) struct Canaries(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    all: BTreeSet<Key>,
    served: BTreeMap<Key, Served>,
}

/// What is known of one that is served.
#[derive(Debug)]
struct Served {
    target: String,
    status: i64,
    /// Percent.
    weight: i64,
    looks: Histogram,
    /// By the check's name: percent, seconds, or whatever a query answers.
    measures: BTreeMap<String, f64>,
    successes: BTreeMap<Kind, u64>,
    failures: BTreeMap<Kind, u64>,
}

/// Flagger's `deployment_strategy` and `analysis_status`.
type Kind = (&'static str, &'static str);

impl Canaries {
    pub(super) fn looked(&self, canary: &Key, took: Duration) {
        let mut known = self.known();
        known.all.insert(canary.clone());
        if let Some(served) = known.served.get(canary) {
            served.looks.observe(took.as_secs_f64());
        }
    }

    pub(super) fn committed(&self, canary: &Canary, release: &Release, decision: &Decision) {
        let mut known = self.known();
        let served = known.served.entry(Key::of(canary)).or_default();
        let target = &release.target.name;
        if served.target != *target {
            *served = Served { target: target.clone(), ..Served::default() };
        }
        served.status = status(decision.status.phase);
        served.weight = decision.status.canary_weight;
        for (index, value) in &decision.step.measures {
            let check = &release.plan.checks[*index];
            let unit = if check.source == CheckSource::Duration99 { 1000.0 } else { 1.0 };
            served.measures.insert(check.name.clone(), value / unit);
        }
        let before = canary.status.as_ref().map(|status| status.phase);
        let ends = match decision.status.phase {
            phase if before == Some(phase) => return,
            CanaryPhase::Succeeded => &mut served.successes,
            CanaryPhase::Failed => &mut served.failures,
            _ => return,
        };
        *ends.entry(kind(release)).or_default() += 1;
    }

    pub(super) fn forget(&self, canary: &Key) {
        let mut known = self.known();
        known.all.remove(canary);
        known.served.remove(canary);
    }

    pub(super) fn clear(&self) {
        *self.known() = Known::default();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Served {
    fn default() -> Self {
        Self {
            target: String::new(),
            status: 0,
            weight: 0,
            looks: Histogram::new(BUCKETS),
            measures: BTreeMap::new(),
            successes: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }
}

impl Collector for Canaries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let known = self.known();
        let it = &mut encoder;
        total(it, &known)?;
        gauge(it, &known, "status", "0 while it is in progress, 2 if it failed, else 1", |it| {
            vec![(vec![("name", it.target.clone())], it.status as f64)]
        })?;
        gauge(it, &known, "weight", "Percent of the traffic", |it| {
            let primary = format!("{}{}", it.target, keys::PRIMARY_SUFFIX);
            let of = |workload, weight: i64| (vec![("workload", workload)], weight as f64);
            vec![of(primary, 100 - it.weight), of(it.target.clone(), it.weight)]
        })?;
        gauge(it, &known, "metric_analysis", "What a check measured last", |it| {
            let of = |(metric, value): (&String, &f64)| {
                (vec![("name", it.target.clone()), ("metric", metric.clone())], *value)
            };
            it.measures.iter().map(of).collect()
        })?;
        durations(it, &known)?;
        counter(it, &known, "successes", "Releases promoted", |it| &it.successes)?;
        counter(it, &known, "failures", "Releases rolled back", |it| &it.failures)
    }
}

fn total(encoder: &mut DescriptorEncoder<'_>, known: &Known) -> fmt::Result {
    let mut counts = BTreeMap::<&str, i64>::new();
    for key in &known.all {
        *counts.entry(&key.namespace).or_default() += 1;
    }
    let (name, help) = ("flagger_canary_total", "Canaries");
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (namespace, count) in counts {
        let labels = [("namespace", namespace)];
        ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

type Sample = (Vec<(&'static str, String)>, f64);

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    known: &Known,
    name: &str,
    help: &str,
    samples: impl Fn(&Served) -> Vec<Sample>,
) -> fmt::Result {
    let name = format!("flagger_canary_{name}");
    let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
    for (key, served) in &known.served {
        for (mut labels, value) in samples(served) {
            labels.push(("namespace", key.namespace.clone()));
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, known: &Known) -> fmt::Result {
    let (name, help) = ("flagger_canary_duration_seconds", "How long a look at a Canary takes");
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (key, served) in &known.served {
        let labels = [("name", served.target.as_str()), ("namespace", &key.namespace)];
        served.looks.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    known: &Known,
    name: &str,
    help: &str,
    counts: impl Fn(&Served) -> &BTreeMap<Kind, u64>,
) -> fmt::Result {
    let name = format!("flagger_canary_{name}");
    let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
    for (key, served) in &known.served {
        for ((strategy, analysis), count) in counts(served) {
            let labels = [
                ("name", served.target.as_str()),
                ("namespace", &key.namespace),
                ("deployment_strategy", strategy),
                ("analysis_status", analysis),
            ];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// Flagger's numbers; its users alert on what is above 1.
fn status(phase: CanaryPhase) -> i64 {
    match phase {
        CanaryPhase::Progressing => 0,
        CanaryPhase::Failed => 2,
        _ => 1,
    }
}

fn kind(release: &Release) -> Kind {
    let strategy = match release.plan.schedule {
        Schedule::Steps(_) => "canary",
        Schedule::Ab { .. } => "ab-testing",
        Schedule::BlueGreen { .. } => "blue-green",
    };
    (strategy, if release.plan.skip_analysis { "skipped" } else { "completed" })
}
