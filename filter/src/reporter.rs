//! When to report, and what became of the last report. One is on its way at a time.

use std::time::Duration;

use serin_route::{Report, Reports, VERSION};

use crate::host::{self, Call, Unsent};
use crate::node::Node;
use crate::random::Random;
use crate::scope::Scope;

/// A new table is acknowledged after one such tick.
const FRESH_MS: u32 = 20;
/// The longest wait of a filter that has nothing to watch and whose reports nobody answers.
const IDLE_MS_MAX: u32 = 60_000;
/// Envoy waits two periods for an answer, but no less and no more than this.
const TIMEOUT_MS_MIN: u32 = 1_000;
const TIMEOUT_MS_MAX: u32 = 5_000;
/// An answer this long overdue never comes.
const OVERDUE_NS: u64 = 1_000_000_000;
/// A cluster that Envoy does not know so many times in a row is not only late.
const UNKNOWN_MAX: u32 = 3;

#[derive(Debug, Default)]
pub(crate) struct Reporter {
    phase: Phase,
    awaited: Option<Awaited>,
    /// Reports of a settled scope that failed in a row.
    failures: u32,
    /// Times in a row that Envoy did not know the receiver's cluster.
    unknown: u32,
    /// The receiver knows the table in force.
    acknowledged: bool,
    /// Counts tables, so that the answer to an earlier one's report acknowledges nothing.
    tables: u64,
    /// The tick period last set, in milliseconds.
    period_ms: u32,
}

/// Where the ticks of a table stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Not reported yet.
    #[default]
    Fresh,
    /// Reported once; the next period is a random part of a whole one, or else all VMs of a mesh would report in
    /// the same instant for as long as the table stands.
    Spread,
    /// In step.
    Steady,
}

#[derive(Debug)]
struct Awaited {
    /// The root context that gets the answer.
    root: u32,
    token: u32,
    sequence: u64,
    table: u64,
    /// The longest that it may take.
    wait_ns: u64,
    until_ns: u64,
}

impl Reporter {
    /// A new table, or a new reason to report soon.
    pub(crate) fn restart(&mut self) {
        self.phase = Phase::Fresh;
        self.failures = 0;
        self.acknowledged = false;
        self.tables = self.tables.saturating_add(1);
        self.period_ms = 0;
    }

    /// A root context is gone, and with it the answer that it would have got.
    pub(crate) fn cancel(&mut self, root: u32) {
        self.awaited.take_if(|awaited| awaited.root == root);
    }

    /// Whether a report may go out now, and is wanted.
    pub(crate) fn is_due(&mut self, now_ns: u64, busy: bool) -> bool {
        if let Some(awaited) = &mut self.awaited {
            // The clock may have been set back.
            awaited.until_ns = awaited.until_ns.min(now_ns.saturating_add(awaited.wait_ns));
        }
        self.awaited.take_if(|awaited| awaited.until_ns <= now_ns);
        self.awaited.is_none() && (busy || !self.acknowledged)
    }

    /// Sends a report in a root context's name; whether it is on its way.
    pub(crate) fn send(&mut self, root: u32, report: &Report, to: &Reports, now_ns: u64) -> bool {
        let timeout_ms = to.period_ms.saturating_mul(2).clamp(TIMEOUT_MS_MIN, TIMEOUT_MS_MAX);
        let token = dispatch(report, to, timeout_ms);
        self.tell(to, token);
        let token = token.ok();
        self.phase = match self.phase {
            Phase::Fresh => Phase::Spread,
            Phase::Spread | Phase::Steady => Phase::Steady,
        };
        let wait_ns = u64::from(timeout_ms).saturating_mul(1_000_000).saturating_add(OVERDUE_NS);
        self.awaited = token.map(|token| Awaited {
            root,
            token,
            sequence: report.sequence,
            table: self.tables,
            wait_ns,
            until_ns: now_ns.saturating_add(wait_ns),
        });
        if token.is_none() {
            self.failures = self.failures.saturating_add(1);
        }
        token.is_some()
    }

    /// Tells people of a receiver that is not to be found: once, until it was.
    fn tell(&mut self, to: &Reports, sent: Result<u32, Unsent>) {
        self.unknown = match sent {
            Err(Unsent::UnknownCluster) => self.unknown.saturating_add(1),
            Ok(_) | Err(Unsent::Failed) => 0,
        };
        if self.unknown == UNKNOWN_MAX {
            host::warn(&format!(
                "serin: no report can be sent, for Envoy knows no cluster {}: the receiver's Service is missing, or a \
                 Sidecar resource hides it from this namespace; requests are steered all the same",
                to.cluster
            ));
        }
    }

    /// Takes an answer. The report's sequence; none if this is not the answer awaited.
    pub(crate) fn answered(&mut self, token: u32, delivered: bool) -> Option<u64> {
        let awaited = self.awaited.take_if(|awaited| awaited.token == token)?;
        if delivered {
            self.failures = 0;
            self.acknowledged |= awaited.table == self.tables;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        Some(awaited.sequence)
    }

    /// The tick period from now on, if it is another than before; 0 is never.
    pub(crate) fn period(
        &mut self,
        period_ms: u32,
        busy: bool,
        random: &mut Random,
    ) -> Option<u32> {
        let period_ms = match (self.phase, busy, self.acknowledged) {
            (Phase::Fresh, ..) => FRESH_MS,
            (_, false, true) => 0,
            (Phase::Spread, true, _) => spread(period_ms, random),
            (Phase::Steady, true, _) => period_ms,
            (_, false, false) => backed_off(period_ms, self.failures, random),
        };
        let changed = self.period_ms != period_ms;
        self.period_ms = period_ms;
        changed.then_some(period_ms)
    }
}

/// Between half a period and a whole one.
fn spread(period_ms: u32, random: &mut Random) -> u32 {
    let half = u64::from(period_ms / 2);
    let part = random.draw().checked_rem(half.saturating_add(1)).unwrap_or(0);
    u32::try_from(half.saturating_add(part)).unwrap_or(period_ms).max(1)
}

/// Twice as long after each failure, so that an idle mesh does not hammer a receiver that is away.
fn backed_off(period_ms: u32, failures: u32, random: &mut Random) -> u32 {
    let doubled = period_ms.saturating_mul(2_u32.saturating_pow(failures.min(16)));
    spread(doubled.min(IDLE_MS_MAX), random)
}

/// The report of a scope's counters.
pub(crate) fn report(node: &Node, boot: &str, sequence: u64, scope: &mut Scope) -> Report {
    Report {
        version: VERSION,
        scope: scope.name.clone(),
        side: scope.side,
        proxy: node.proxy.clone(),
        namespace: node.namespace.clone(),
        boot: boot.to_owned(),
        sequence,
        problem: scope.problem.as_deref().map(str::to_owned),
        rollouts: scope.tally.report(sequence),
    }
}

/// Hands a report to Envoy; the call's token.
fn dispatch(report: &Report, to: &Reports, timeout_ms: u32) -> Result<u32, Unsent> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", &*to.authority),
        (":path", &*to.path),
        ("content-type", "application/json"),
        ("authorization", &*format!("Bearer {}", to.token)),
    ];
    host::call(&Call {
        cluster: &to.cluster,
        headers: &headers,
        body: &report.to_json(),
        timeout: Duration::from_millis(timeout_ms.into()),
    })
}
