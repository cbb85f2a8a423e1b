//! The requests that a controller has sent to its API server, as its own metrics count them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// What begins each of its series.
const SERIES: &str = "serin_api_requests_total{";
/// Whose number is the same however many Canaries there are: the election.
const ELECTION: &str = "leases";

/// By verb and resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls(BTreeMap<(String, String), u64>);

impl Calls {
    /// Those in the text of its `/metrics`; an error if it has none.
    pub fn read(text: &str) -> Result<Self> {
        let calls = Self::parse(text)?;
        ensure!(!calls.0.is_empty(), "there is no {SERIES} among its metrics");
        Ok(calls)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut calls = BTreeMap::<_, u64>::new();
        for line in text.lines().filter_map(|line| line.strip_prefix(SERIES)) {
            let (labels, count) = line.split_once("} ").context("a series without a value")?;
            let label = |name: &str| {
                let mut labels = labels.split(',').filter_map(|it| it.split_once('='));
                let value = labels.find(|(it, _)| *it == name).map(|(_, value)| value);
                value.map(|it| it.trim_matches('"').to_owned()).context("a series without a label")
            };
            *calls.entry((label("verb")?, label("resource")?)).or_default() +=
                count.parse::<u64>()?;
        }
        Ok(Self(calls))
    }

    /// Those since then.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let since = |(key, count): (&(String, String), &u64)| {
            let more = count - before.0.get(key).copied().unwrap_or(0);
            (more > 0).then(|| (key.clone(), more))
        };
        Self(self.0.iter().filter_map(since).collect())
    }

    /// All but the election's.
    pub fn for_canaries(&self) -> u64 {
        self.0
            .iter()
            .filter(|((_, resource), _)| resource != ELECTION)
            .map(|(_, count)| count)
            .sum()
    }

    /// The election's.
    pub fn for_election(&self) -> u64 {
        self.0.values().sum::<u64>() - self.for_canaries()
    }

    /// Reads and writes, the election's and watches left out.
    pub fn reads_and_writes(&self) -> (u64, u64) {
        let (mut reads, mut writes) = (0, 0);
        for ((verb, _), count) in self.0.iter().filter(|((_, resource), _)| resource != ELECTION) {
            match verb.as_str() {
                "watch" => {}
                "get" | "list" => reads += count,
                _ => writes += count,
            }
        }
        (reads, writes)
    }

    /// The most frequent.
    pub fn most(&self) -> String {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let words = |((verb, resource), count): &(&(String, String), &u64)| {
            format!("{verb} {resource} {count}")
        };
        all.iter().take(6).map(words).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"# TYPE serin_api_requests_total counter
serin_api_requests_total{verb="get",resource="leases",code="200"} 7
serin_api_requests_total{verb="get",resource="deployments",code="200"} 2
serin_api_requests_total{verb="get",resource="deployments",code="404"} 1
serin_api_requests_total{verb="watch",resource="deployments",code="200"} 1
serin_leader 1
"#;

    #[test]
    fn calls_are_added_up_and_compared() {
        let before = Calls::read(BEFORE).expect("it reads");
        assert_eq!((before.for_canaries(), before.for_election()), (4, 7));
        assert_eq!(before.reads_and_writes(), (3, 0));
        let more = r#"serin_api_requests_total{verb="patch",resource="deployments",code="200"} 5"#;
        let after = Calls::read(&format!("{BEFORE}{more}\n")).expect("it reads");
        assert_eq!(after.since(&before).most(), "patch deployments 5");
        assert!(Calls::read("serin_leader 1\n").is_err(), "nothing shows nothing");
    }
}
