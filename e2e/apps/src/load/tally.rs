//! What became of requests, counted one by one.

use std::{collections::BTreeMap, time::Duration};

use super::{
    outcome::{Failures, Latency, Span},
    users::Met,
};

/// Names of versions, or reasons, that are counted apart; the rest is counted together.
const NAMES_MAX: usize = 64;
/// Failures whose time is kept.
const TIMES_MAX: usize = 256;
/// Under this name.
const OTHERS: &str = "(others)";

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was answered.
    Answered {
        /// With this status.
        status: u16,
        /// By this version, as it says.
        version: Option<String>,
        /// By whom, as far as can be told.
        maker: Maker,
        /// After this time, the body's end included.
        after: Duration,
    },
    /// It was not, for this reason.
    Lost(&'static str),
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// An app that failed on purpose, and says so.
    Fault,
    /// An app, as its version's header says.
    App,
    /// A proxy, for it has no header of an app's. No other sign tells: a caller's proxy takes the answer of the called
    /// one's for an upstream's.
    Proxy,
}

/// The counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) status: BTreeMap<u16, u64>,
    pub(super) failures: Failures,
    pub(super) lost: BTreeMap<String, u64>,
    pub(super) answered: u64,
    latencies: Vec<Duration>,
    version_latencies: BTreeMap<String, Vec<Duration>>,
    pub(super) version_spans: BTreeMap<String, Option<Span>>,
    pub(super) faults: Option<Span>,
    pub(super) otherwise: Vec<f64>,
    pub(super) met: Met,
}

impl Tally {
    /// Who met whom, of a user's request that was sent so long after the load's beginning.
    pub(super) fn meet(&mut self, user: u64, fate: &Fate, sent: Duration) {
        if let Fate::Answered { version: Some(version), .. } = fate {
            self.met.count(user, version, sent.as_secs_f64());
        }
    }

    /// Counts one, whose fate was known so long after the load's beginning.
    pub(super) fn count(&mut self, (fate, at): (Fate, Duration)) {
        let at = at.as_secs_f64();
        match fate {
            Fate::Answered { status, version, maker, after } => {
                self.answered += 1;
                *self.status.entry(status).or_default() += 1;
                if let Some(version) = version {
                    Span::extend(entry(&mut self.version_spans, version.clone()), at);
                    entry(&mut self.version_latencies, version).push(after);
                }
                self.latencies.push(after);
                if status >= 500 {
                    self.failed(maker, at);
                }
            }
            Fate::Lost(reason) => {
                self.failures.transport += 1;
                *entry(&mut self.lost, reason.to_owned()) += 1;
                self.otherwise(at);
            }
        }
    }

    fn failed(&mut self, maker: Maker, at: f64) {
        match maker {
            Maker::Fault => {
                self.failures.app += 1;
                Span::extend(&mut self.faults, at);
                return;
            }
            Maker::App => self.failures.unmarked += 1,
            Maker::Proxy => self.failures.envoy += 1,
        }
        self.otherwise(at);
    }

    fn otherwise(&mut self, at: f64) {
        if self.otherwise.len() < TIMES_MAX {
            self.otherwise.push(at);
        }
    }

    /// Answers by version, of those that name one.
    pub(super) fn versions(&self) -> BTreeMap<String, u64> {
        let counts = self.version_latencies.iter();
        counts.map(|(version, all)| (version.clone(), all.len() as u64)).collect()
    }

    /// The latencies of all that were answered, if any were.
    pub(super) fn latency(&mut self) -> Option<Latency> {
        latency(&mut self.latencies)
    }

    /// The latencies of each version's answers.
    pub(super) fn version_latencies(&mut self) -> BTreeMap<String, Latency> {
        let all = self.version_latencies.iter_mut();
        all.filter_map(|(version, all)| Some((version.clone(), latency(all)?))).collect()
    }
}

fn latency(all: &mut [Duration]) -> Option<Latency> {
    all.sort_unstable();
    let ms = |it: &Duration| it.as_secs_f64() * 1e3;
    // The smallest that at least this share of all do not exceed.
    let quantile = |percent: usize| {
        let rank = (all.len() * percent).div_ceil(100).max(1);
        all.get(rank - 1).map(ms)
    };
    Some(Latency {
        p50: quantile(50)?,
        p95: quantile(95)?,
        p99: quantile(99)?,
        max: all.last().map(ms)?,
    })
}

/// What is kept under a name, or with all those for which there is no room.
fn entry<V: Default>(kept: &mut BTreeMap<String, V>, name: String) -> &mut V {
    let is_full = kept.len() >= NAMES_MAX && !kept.contains_key(&name);
    kept.entry(if is_full { OTHERS.to_owned() } else { name }).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(3);

    fn answered(status: u16, version: &str, maker: Maker, ms: u64) -> Fate {
        let version = (!version.is_empty()).then(|| version.to_owned());
        Fate::Answered { status, version, maker, after: Duration::from_millis(ms) }
    }

    #[test]
    fn failures_are_told_apart_by_their_maker() {
        let mut tally = Tally::default();
        tally.count((answered(200, "v1", Maker::App, 1), AT));
        tally.count((answered(404, "v1", Maker::Fault, 1), AT));
        tally.count((answered(500, "v2", Maker::Fault, 1), AT));
        tally.count((answered(500, "v2", Maker::App, 1), AT));
        tally.count((answered(503, "", Maker::Proxy, 1), AT));
        tally.count((Fate::Lost("timeout"), AT));
        let failures = Failures { app: 1, unmarked: 1, envoy: 1, transport: 1 };
        assert_eq!((tally.failures, tally.answered), (failures, 5));
        assert_eq!(tally.status, BTreeMap::from([(200, 1), (404, 1), (500, 2), (503, 1)]));
        assert_eq!(tally.versions(), BTreeMap::from([("v1".into(), 2), ("v2".into(), 2)]));
        assert_eq!(tally.lost, BTreeMap::from([("timeout".into(), 1)]));
    }

    #[test]
    fn it_is_known_when_versions_answered_and_requests_failed() {
        let mut tally = Tally::default();
        let at = Duration::from_secs;
        for (second, version, status, maker) in [
            (2, "v1", 200, Maker::App),
            (1, "v1", 500, Maker::Fault),
            (5, "v2", 500, Maker::Fault),
            (4, "v1", 200, Maker::App),
            (7, "", 503, Maker::Proxy),
        ] {
            tally.count((answered(status, version, maker, 1), at(second)));
        }
        tally.count((Fate::Lost("timeout"), at(9)));
        let span = |first, last| Some(Span { first, last });
        let spans = [("v1".to_owned(), span(1.0, 4.0)), ("v2".to_owned(), span(5.0, 5.0))];
        assert_eq!(tally.version_spans, BTreeMap::from(spans));
        assert_eq!((tally.faults, &tally.otherwise[..]), (span(1.0, 5.0), &[7.0, 9.0][..]));
    }

    #[test]
    fn quantiles_are_of_those_that_were_answered() {
        let mut tally = Tally::default();
        assert_eq!(tally.latency(), None);
        for ms in (1..=100).rev() {
            tally.count((answered(200, "", Maker::App, ms), AT));
        }
        tally.count((Fate::Lost("reset"), AT));
        let latency = Latency { p50: 50.0, p95: 95.0, p99: 99.0, max: 100.0 };
        assert_eq!(tally.latency(), Some(latency));
    }

    #[test]
    fn each_version_has_its_own() {
        let mut tally = Tally::default();
        for ms in 1..=10 {
            tally.count((answered(200, "v1", Maker::App, ms), AT));
            tally.count((answered(200, "v2", Maker::App, ms * 100), AT));
        }
        let p50 = |it: Latency| it.p50;
        let found = tally.version_latencies().into_iter().map(|(name, it)| (name, p50(it)));
        assert_eq!(found.collect::<Vec<_>>(), [("v1".into(), 5.0), ("v2".into(), 500.0)]);
        assert_eq!(tally.latency().map(p50), Some(10.0));
    }

    #[test]
    fn names_are_bounded() {
        let mut tally = Tally::default();
        for index in 0..1_000 {
            tally.count((answered(200, &format!("v{index}"), Maker::App, 1), AT));
        }
        assert_eq!(tally.versions().len(), NAMES_MAX + 1);
        assert_eq!(tally.versions().values().sum::<u64>(), 1_000);
    }
}
