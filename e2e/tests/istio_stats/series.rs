//! Series as Prometheus reads them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serin_e2e::envoy::Envoy;

/// One line: a series and its value.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: u64,
}

/// All series of that name.
pub(crate) async fn all(envoy: &Envoy, name: &str) -> Result<Vec<Series>> {
    let text = envoy.admin("/stats/prometheus").await?;
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    lines.map(|line| read(line).with_context(|| format!("not a series: {line}"))).collect()
}

/// The sum of those that have these labels.
pub(crate) fn sum(series: &[Series], labels: &[(&str, &str)]) -> u64 {
    let has = |series: &&Series| {
        labels.iter().all(|(label, value)| series.labels.get(*label).is_some_and(|it| it == value))
    };
    series.iter().filter(has).map(|series| series.value).sum()
}

/// `label="value",…} number`. No value here holds a quote.
fn read(line: &str) -> Option<Series> {
    let (labels, value) = line.rsplit_once("} ")?;
    let pairs = labels.split("\",").map(|pair| {
        let (label, value) = pair.split_once("=\"")?;
        Some((label.to_owned(), value.trim_end_matches('"').to_owned()))
    });
    Some(Series { labels: pairs.collect::<Option<_>>()?, value: value.parse().ok()? })
}
