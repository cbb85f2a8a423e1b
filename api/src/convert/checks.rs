//! Classical checks: where each number comes from, and its bounds.

use std::time::Duration;

use serin_rollout::{Check, CheckSource};

use super::Source;
use super::hooks::web_address;
use super::numbers::positive_duration;
use super::render::{Fault, render};
use crate::canary::{Metric, TemplateRef, ThresholdRange};
use crate::field::Field;
use crate::{Canary, Group, MetricTemplate, Problems, ProviderKind, keys};

/// The window of a metric that names none; Flagger's, there for built-in and inline ones only.
const INTERVAL: &str = "1m";

/// All checks: built-in and inline ones first, then those of templates, each in their order, as Flagger asks them.
pub(super) fn checks<'a>(
    canary: &Canary,
    templates: &'a [MetricTemplate],
    problems: &mut Problems,
) -> Vec<(Check, Source<'a>)> {
    let metrics = Field::root("spec.analysis.metrics");
    let (mut own, mut shared) = (Vec::new(), Vec::new());
    for (index, metric) in canary.spec.analysis.metrics.iter().enumerate() {
        let asked = Asked { canary, metric, field: metrics.nth(index) };
        asked.sources(problems);
        own.extend(asked.built_in(problems).map(|check| (check, Source::Counts)));
        own.extend(asked.inline(problems).map(|check| (check, Source::Inline)));
        shared.extend(asked.templated(templates, problems));
    }
    own.append(&mut shared);
    own
}

/// One metric of a Canary.
struct Asked<'a> {
    canary: &'a Canary,
    metric: &'a Metric,
    field: Field,
}

impl Asked<'_> {
    /// Reports a metric without a source; of ours, also one with several.
    fn sources(&self, problems: &mut Problems) {
        let Metric { name, query, template_ref, .. } = self.metric;
        if name.is_empty() {
            problems.add(self.field.at("name"), "must not be empty");
        }
        let built_in = built_in(name).is_some();
        let sources = [built_in, query.is_some(), template_ref.is_some()];
        match sources.iter().filter(|source| **source).count() {
            0 => {
                let rule = "needs a query or a templateRef: built in are only";
                let (rate, duration) = (keys::SUCCESS_RATE, keys::DURATION);
                problems.add(&self.field, format!("{rule} {rate} and {duration}, not {name:?}"));
            }
            1 => {}
            _ if self.canary.group == Group::Flagger => {}
            _ if built_in => {
                let rule = format!("{name} is built in: another name is needed for a query");
                problems.add(self.field.at("name"), rule);
            }
            _ => problems.add(&self.field, "needs only one of query and templateRef"),
        }
    }

    fn built_in(&self, problems: &mut Problems) -> Option<Check> {
        let source = built_in(&self.metric.name)?;
        let check = self.check(source, problems);
        self.natural(&check, problems);
        Some(check)
    }

    fn inline(&self, problems: &mut Problems) -> Option<Check> {
        let text = self.metric.query.as_deref()?;
        let field = self.field.at("query");
        let server = self.canary.spec.metrics_server.as_deref();
        if server.is_none() {
            problems.add(&field, "needs spec.metricsServer, the Prometheus that answers it");
        }
        let query = self.rendered(text, &field, "it", problems);
        let address = server?;
        web_address(address, &Field::root("spec.metricsServer"), problems);
        let source = CheckSource::Query { address: address.to_owned(), query: query? };
        Some(self.check(source, problems))
    }

    fn templated<'a>(
        &self,
        templates: &'a [MetricTemplate],
        problems: &mut Problems,
    ) -> Option<(Check, Source<'a>)> {
        let reference = self.metric.template_ref.as_ref()?;
        let name = &reference.name;
        let Some(template) = find_template(self.canary, reference, templates) else {
            let namespace = reference.namespace.as_deref().unwrap_or(self.canary.namespace());
            let rule = format!("there is no MetricTemplate {name} in namespace {namespace}");
            problems.add(self.field.at("templateRef"), rule);
            return None;
        };
        let spec = template_field(name).at("spec");
        let address = address(template, &spec.at("provider"), problems);
        let label = format!("MetricTemplate {name}");
        let query = self.rendered(&template.spec.query, &spec.at("query"), &label, problems);
        let source = CheckSource::Query { address: address?, query: query? };
        Some((self.check(source, problems), Source::Template(template)))
    }

    fn check(&self, source: CheckSource, problems: &mut Problems) -> Check {
        let (min, max) = self.bounds(&source, problems);
        let (given, field) = (self.metric.interval.as_deref(), self.field.at("interval"));
        let interval = positive_duration(given.or(Some(INTERVAL)), &field, problems);
        let interval = interval.unwrap_or(Duration::ZERO);
        Check { name: self.metric.name.clone(), source, interval, min, max }
    }

    /// What `thresholdRange` says, or the deprecated `threshold`: the least success rate, the most of all else.
    fn bounds(&self, source: &CheckSource, problems: &mut Problems) -> (Option<f64>, Option<f64>) {
        let Metric { threshold_range: range, threshold, .. } = *self.metric;
        let flagger = self.canary.group == Group::Flagger;
        let field = self.field.at("thresholdRange");
        if range.is_some() && threshold.is_some() && !flagger {
            problems.add(self.field.at("threshold"), "has no meaning beside thresholdRange");
        }
        let empty = range.is_none_or(|range| range == ThresholdRange::default());
        if empty && threshold.is_none() && !flagger {
            problems.add(&field, "needs min or max");
        }
        let Some(ThresholdRange { min, max }) = range else {
            let bound = Some(threshold.unwrap_or(0.0));
            let least = *source == CheckSource::SuccessRate;
            return if least { (bound, None) } else { (None, bound) };
        };
        if min.zip(max).is_some_and(|(min, max)| min > max) {
            let (min, max) = (min.unwrap_or_default(), max.unwrap_or_default());
            problems.add(&field, format!("min {min} is above max {max}"));
        }
        if flagger && *source == CheckSource::Duration99 {
            return (min.map(f64::trunc), max.map(f64::trunc));
        }
        (min, max)
    }

    /// Reports bounds that a built-in number cannot have, in our own objects.
    fn natural(&self, check: &Check, problems: &mut Problems) {
        if self.canary.group == Group::Flagger {
            return;
        }
        for bound in [check.min, check.max].into_iter().flatten() {
            let rate = check.source == CheckSource::SuccessRate;
            if rate && !(0.0..=100.0).contains(&bound) {
                let rule = format!("must be percent, from 0 to 100, not {bound}");
                problems.add(self.field.at("thresholdRange"), rule);
            }
            if !rate && (bound < 1.0 || bound.fract() != 0.0) {
                let rule = format!("must be whole milliseconds, not {bound}");
                problems.add(self.field.at("thresholdRange"), rule);
            }
        }
    }

    fn rendered(
        &self,
        text: &str,
        field: &Field,
        label: &str,
        problems: &mut Problems,
    ) -> Option<String> {
        if text.trim().is_empty() {
            problems.add(field, "must not be empty");
            return None;
        }
        let faults = match render(text, |name| self.value(name)) {
            Ok(query) => return Some(query),
            Err(faults) => faults,
        };
        for fault in faults {
            match &fault {
                Fault::Missing(name) if name.starts_with("variables.") => {
                    let key = name.trim_start_matches("variables.");
                    let rule = format!("has no {key}, which {label} uses");
                    problems.add(self.field.at("templateVariables"), rule);
                }
                _ => problems.add(field, fault.to_string()),
            }
        }
        None
    }

    fn value(&self, name: &str) -> Option<String> {
        let spec = &self.canary.spec;
        let reference = |it: &Option<crate::canary::TargetRef>| {
            it.as_ref().map(|reference| reference.name.clone())
        };
        match name {
            "name" => Some(self.canary.name().to_owned()),
            "namespace" => Some(self.canary.namespace().to_owned()),
            "target" => Some(spec.target_ref.name.clone()),
            "service" => Some(self.canary.apex().to_owned()),
            "interval" => Some(self.metric.interval.as_deref().unwrap_or(INTERVAL).to_owned()),
            "ingress" => reference(&spec.ingress_ref),
            "route" => reference(&spec.route_ref),
            _ => self.metric.template_variables.get(name.strip_prefix("variables.")?).cloned(),
        }
    }
}

/// The template that a metric of a Canary refers to; of its own group, where both have one.
pub(crate) fn find_template<'a>(
    canary: &Canary,
    reference: &TemplateRef,
    templates: &'a [MetricTemplate],
) -> Option<&'a MetricTemplate> {
    let namespace = reference.namespace.as_deref().unwrap_or(canary.namespace());
    let same = |it: &&MetricTemplate| it.name() == reference.name && it.namespace() == namespace;
    templates.iter().filter(same).max_by_key(|it| it.group == canary.group)
}

/// Where the problems of a template begin.
pub(crate) fn template_field(name: &str) -> Field {
    Field::root(format!("MetricTemplate {name}: "))
}

fn built_in(name: &str) -> Option<CheckSource> {
    match name {
        keys::SUCCESS_RATE => Some(CheckSource::SuccessRate),
        keys::DURATION => Some(CheckSource::Duration99),
        _ => None,
    }
}

/// The address of a template's Prometheus; what a query cannot be sent with yet is a problem by name.
fn address(template: &MetricTemplate, field: &Field, problems: &mut Problems) -> Option<String> {
    let provider = &template.spec.provider;
    if provider.kind != ProviderKind::Prometheus {
        let name = serde_json::to_value(provider.kind).unwrap_or_default();
        let rule = format!("{} is valid but not supported yet", name.as_str().unwrap_or_default());
        problems.add(field.at("type"), rule);
        return None;
    }
    let Some(address) = &provider.address else {
        problems.add(field.at("address"), "is missing");
        return None;
    };
    web_address(address, &field.at("address"), problems);
    Some(address.clone())
}
