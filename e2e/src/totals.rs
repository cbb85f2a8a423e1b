//! Sums of reports: the newest counts of each generation of each VM, added up.

use std::collections::{BTreeMap, BTreeSet};

use serin_route::{Assignment, Cell, GenerationReport, Report, Track};

/// One generation of one VM: proxy, boot, scope, rollout, run, generation.
type Source = (String, String, String, String, String, u64);

/// What the reports say all together.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    newest: BTreeMap<Source, (u64, GenerationReport)>,
    /// Counts that a later report of the same boot took back.
    fallen: Vec<String>,
}

/// A sum of cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Requests that ended.
    pub requests: u64,
    /// Of these, failed.
    pub failures: u64,
    /// Of these, without an answer.
    pub resets: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Given up by the client.
    pub abandoned: u64,
    /// Upgraded connections.
    pub upgraded: u64,
    /// Requests in the latency counts.
    pub timed: u64,
}

impl Totals {
    /// Adds reports up, in the order of their arrival.
    pub fn of<'a>(reports: impl Iterator<Item = &'a Report>) -> Self {
        let mut totals = Self::default();
        for report in reports {
            totals.enter(report);
        }
        totals
    }

    /// The sum of the cells of one run that pass.
    pub fn sum(&self, run: &str, passes: impl Fn(&Cell) -> bool) -> Sum {
        let mut sum = Sum::default();
        for cell in self.of_run(run).flat_map(|it| &it.cells).filter(|cell| passes(cell)) {
            sum.requests += cell.requests;
            sum.failures += cell.failures;
            sum.resets += cell.resets;
            sum.retries += cell.retries;
            sum.abandoned += cell.abandoned;
            sum.upgraded += cell.upgraded;
            sum.timed += cell.latency.done.iter().sum::<u64>();
        }
        sum
    }

    /// All of one run.
    pub fn all(&self, run: &str) -> Sum {
        self.sum(run, |_| true)
    }

    /// One track of one run.
    pub fn track(&self, run: &str, track: Track) -> Sum {
        self.sum(run, |cell| cell.track == track)
    }

    /// One assignment of one run.
    pub fn assigned(&self, run: &str, assignment: Assignment) -> Sum {
        self.sum(run, |cell| cell.assignment == assignment)
    }

    /// Requests of one run that another track served than decided.
    pub fn mismatched(&self, run: &str) -> u64 {
        self.of_run(run).map(|it| it.mismatched).sum()
    }

    /// `(canary's, all)` requests of one run, by the weight that was in force when each was decided: that of its
    /// generation.
    pub fn by_weight(&self, run: &str, weight: impl Fn(u64) -> u8) -> BTreeMap<u8, (u64, u64)> {
        let mut sums = BTreeMap::<_, (u64, u64)>::new();
        for counts in self.of_run(run) {
            let sum = sums.entry(weight(counts.generation)).or_default();
            for cell in &counts.cells {
                sum.0 += if cell.track == Track::Canary { cell.requests } else { 0 };
                sum.1 += cell.requests;
            }
        }
        sums
    }

    /// `(exposed, outlived)` at a latency edge, over all cells of a run that pass.
    pub fn at_edge(&self, run: &str, edge_ms: u32, passes: impl Fn(&Cell) -> bool) -> (u64, u64) {
        let mut sum = (0, 0);
        for generation in self.of_run(run) {
            let Some(edge) = generation.edges_ms.iter().position(|it| *it == edge_ms) else {
                continue;
            };
            for cell in generation.cells.iter().filter(|cell| passes(cell)) {
                let (exposed, outlived) = cell.latency.at_edge(edge);
                sum = (sum.0 + exposed, sum.1 + outlived);
            }
        }
        sum
    }

    /// Failed users of one track of a run, as often as VMs named them.
    pub fn failed_users(&self, run: &str, track: Track) -> Vec<u64> {
        let keyed = self.of_run(run).flat_map(|it| &it.keyed);
        let failed = keyed.filter(|it| it.track == track).flat_map(|it| &it.failed);
        failed.map(|hash| hash.0).collect()
    }

    /// Users at risk of one track of a run, over all flushes.
    pub fn at_risk(&self, run: &str, track: Track) -> u64 {
        let keyed = self.of_run(run).flat_map(|it| &it.keyed);
        keyed.filter(|it| it.track == track).map(|it| it.at_risk).sum()
    }

    /// The upstream addresses of failures of one run.
    pub fn upstreams(&self, run: &str) -> BTreeMap<String, u64> {
        let mut upstreams = BTreeMap::new();
        for upstream in self.of_run(run).flat_map(|it| &it.cells).flat_map(|cell| &cell.upstreams) {
            *upstreams.entry(upstream.address.clone()).or_default() += upstream.failures;
        }
        upstreams
    }

    /// The boots that have counts of a run.
    pub fn boots(&self, run: &str) -> BTreeSet<&str> {
        self.newest.keys().filter(|it| it.4 == run).map(|it| it.1.as_str()).collect()
    }

    /// Counts that went back within a boot, which none may.
    pub fn fallen(&self) -> &[String] {
        &self.fallen
    }

    fn of_run(&self, run: &str) -> impl Iterator<Item = &GenerationReport> {
        self.newest.iter().filter(move |(it, _)| it.4 == run).map(|(_, (_, counts))| counts)
    }

    fn enter(&mut self, report: &Report) {
        for rollout in &report.rollouts {
            for counts in &rollout.generations {
                let source = (
                    report.proxy.clone(),
                    report.boot.clone(),
                    report.scope.clone(),
                    format!("{}.{}", rollout.name, rollout.namespace),
                    rollout.run.clone(),
                    counts.generation,
                );
                let old = self.newest.get(&source);
                if old.is_some_and(|(sequence, _)| *sequence >= report.sequence) {
                    continue;
                }
                if old.is_some_and(|(_, old)| requests(old) > requests(counts)) {
                    self.fallen.push(format!("{source:?} at sequence {}", report.sequence));
                }
                self.newest.insert(source, (report.sequence, counts.clone()));
            }
        }
    }
}

fn requests(counts: &GenerationReport) -> u64 {
    counts.cells.iter().map(|cell| cell.requests + cell.abandoned).sum::<u64>() + counts.mismatched
}
