//! What the filters report, of every rollout that is in a table: a [`Book`] for each, and since when each scope has
//! been told what.
//!
//! The scopes' reconciler says which rollouts there are, and what it has written. Whoever decides asks what was
//! heard. All of it begins anew with a term of leading: evidence that is lost is gathered again, and never
//! invented.

mod desk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serin_receiver::Denial;
use serin_rollout::{Acknowledged, Book, Missing, Refused, Stage, Status, Traffic};
use serin_route::{Report, Rollout};
use tokio::sync::Notify;

use crate::interests::Key;
use crate::scope::Scope;
use crate::wake::Wake;

pub(crate) use desk::Gate;

/// A Canary is woken by reports so often at most.
const PACE: Duration = Duration::from_millis(250);
/// A scope that is silent for longer after it was told of a rollout is worth a word.
const SILENCE: SignedDuration = SignedDuration::from_secs(30);
/// Proxies that are named in one message.
const NAMED_MAX: usize = 3;

/// Everything that was heard.
pub(crate) struct Feed {
    state: Mutex<State>,
    /// There is somebody to wake.
    concerned: Notify,
    /// In whose words a silent scope is explained.
    hints: Hints,
}

/// Names that a person needs who looks for lost reports.
#[derive(Clone, Debug)]
pub(crate) struct Hints {
    pub(crate) module: String,
    /// The receiver's Service, `NAME.NAMESPACE`.
    pub(crate) service: String,
    /// Between two reports of a VM.
    pub(crate) period_ms: u32,
}

#[derive(Default)]
struct State {
    /// All rollouts are known. Before, a report might be answered whose counts have no book yet.
    open: bool,
    passes: HashMap<String, Scope>,
    books: BTreeMap<Key, Entry>,
    concerned: BTreeSet<Key>,
    /// What else a person should know of a Canary, as long as it is so.
    troubles: BTreeMap<Key, BTreeSet<String>>,
}

struct Entry {
    book: Book,
    /// Its scopes, by name, and what each was told.
    scopes: BTreeMap<String, Option<Told>>,
}

/// What a scope's filters have been told of a run.
#[derive(Clone, Copy)]
struct Told {
    generation: u64,
    at: Timestamp,
    /// When they were told of it first.
    first: Timestamp,
}

/// A rollout that is in a table.
pub(crate) struct Followed {
    pub(crate) canary: Key,
    /// As in the table.
    pub(crate) name: String,
    pub(crate) run: String,
    pub(crate) scopes: BTreeSet<Scope>,
}

/// What was heard of a Canary's run.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) traffic: Traffic,
    pub(crate) acknowledged: Acknowledged,
    /// How many proxies of each of its scopes report.
    pub(crate) reporting: BTreeMap<String, usize>,
    /// What a person should know as long as it is so.
    pub(crate) lines: BTreeSet<String>,
}

impl Feed {
    pub(crate) fn new(hints: Hints) -> Self {
        Self { state: Mutex::default(), concerned: Notify::new(), hints }
    }

    /// The rollouts that there are, and which tokens are whose. A run that is known keeps its book.
    pub(crate) fn declare(&self, rollouts: Vec<Followed>, passes: HashMap<String, Scope>) {
        let mut state = self.state();
        let mut former = std::mem::take(&mut state.books);
        for it in rollouts {
            let known = former.remove(&it.canary).filter(|entry| entry.book.run() == it.run);
            let (book, told) = known.map_or_else(
                || (Book::new(&it.name, &it.canary.namespace, &it.run), BTreeMap::new()),
                |entry| (entry.book, entry.scopes),
            );
            let told = |scope: &Scope| {
                let name = scope.name();
                let told = told.get(&name).copied().flatten();
                (name, told)
            };
            let scopes = it.scopes.iter().map(told).collect();
            state.books.insert(it.canary, Entry { book, scopes });
        }
        state.passes = passes;
        state.open = true;
    }

    /// The filters of a scope are told this table since `at`; before, if they knew it already.
    pub(crate) fn told(&self, scope: &str, table: &[Rollout], at: Timestamp) {
        for entry in self.state().books.values_mut() {
            let Some(told) = entry.scopes.get_mut(scope) else { continue };
            let run = entry.book.run();
            let Some(generation) = table.iter().find(|it| it.run == run).map(|it| it.generation)
            else {
                *told = None;
                continue;
            };
            if told.is_none_or(|told| told.generation != generation) {
                let first = told.map_or(at, |told| told.first);
                *told = Some(Told { generation, at, first });
            }
        }
    }

    /// What else a person should know of each Canary; whoever is concerned by a change is woken.
    pub(crate) fn trouble(&self, troubles: BTreeMap<Key, BTreeSet<String>>) {
        let mut state = self.state();
        let all = state.troubles.keys().chain(troubles.keys());
        let changed: Vec<_> =
            all.filter(|it| state.troubles.get(it) != troubles.get(it)).cloned().collect();
        state.concerned.extend(changed);
        state.troubles = troubles;
        self.concerned.notify_one();
    }

    /// The scope whose filters have been given this token.
    fn scope_of(&self, token: &str) -> Result<Scope, Denial> {
        let state = self.state();
        if !state.open {
            return Err(Denial::unavailable("it is not known yet which rollouts there are"));
        }
        let why = "the bearer token is missing, or of no scope";
        state.passes.get(token).cloned().ok_or_else(|| Denial::stranger(why))
    }

    /// Enters a report of a scope.
    fn enter(&self, scope: &Scope, report: &Report, at: Timestamp) {
        let name = scope.name();
        let mut state = self.state();
        let State { books, concerned, .. } = &mut *state;
        for (canary, entry) in books.iter_mut().filter(|(_, it)| it.scopes.contains_key(&name)) {
            match entry.book.enter(report, at) {
                Ok(()) => {
                    concerned.insert(canary.clone());
                }
                Err(Refused::Full) => {
                    tracing::debug!(proxy = report.proxy, "too many proxies: one is not counted");
                }
                Err(Refused::OtherRun | Refused::Old | Refused::OtherSide) => {}
            }
        }
        if !concerned.is_empty() {
            self.concerned.notify_one();
        }
    }

    /// What was heard of a Canary's run, whose status is committed.
    pub(crate) fn heard(&self, canary: &Key, status: &Status, now: Timestamp) -> Heard {
        let state = self.state();
        let lines = state.troubles.get(canary).cloned().unwrap_or_default();
        let run = status.run.as_ref().filter(|run| run.stage != Stage::Settled);
        let Some(run) = run else {
            return Heard { acknowledged: Acknowledged::Yes, lines, ..Heard::default() };
        };
        let entry = state.books.get(canary).filter(|entry| entry.book.run() == run.id);
        let Some(entry) = entry else { return Heard { lines, ..Heard::default() } };
        let mut heard = Heard {
            traffic: entry.book.traffic(now),
            acknowledged: entry.acknowledged(run.generation, now, self.hints.period_ms),
            reporting: entry.reporting(now),
            lines,
        };
        heard.lines.extend(entry.silent(now).map(|scope| self.hints.silence(scope)));
        heard.lines.extend(entry.refusing());
        heard.lines.extend(entry.missing(now));
        heard
    }

    /// Whether anybody is expected to report.
    pub(crate) fn expects(&self) -> bool {
        !self.state().books.is_empty()
    }

    /// Scopes with VMs that report no longer although their proxy lives.
    pub(crate) fn missing(&self, now: Timestamp) -> BTreeSet<String> {
        let state = self.state();
        let missing = state.books.values().flat_map(|entry| entry.book.missing(now));
        missing.map(|it| it.scope.to_owned()).collect()
    }

    /// How many proxies of each scope that is expected to report do so.
    pub(crate) fn reporting(&self, now: Timestamp) -> BTreeMap<String, usize> {
        let state = self.state();
        let mut reporting = BTreeMap::<_, BTreeSet<_>>::new();
        for entry in state.books.values() {
            for scope in entry.scopes.keys() {
                reporting.entry(scope.clone()).or_default();
            }
            for (scope, proxy) in entry.book.reporting(now) {
                reporting.entry(scope.to_owned()).or_default().insert(proxy);
            }
        }
        reporting.into_iter().map(|(scope, proxies)| (scope, proxies.len())).collect()
    }

    /// Wakes whom reports concern. It never ends.
    pub(crate) async fn follow(&self, wake: &Wake) {
        loop {
            self.concerned.notified().await;
            let concerned = std::mem::take(&mut self.state().concerned);
            for canary in &concerned {
                wake.up(canary);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// A run without a scope is known to nobody who would have to show it.
    fn acknowledged(&self, generation: u64, now: Timestamp, period_ms: u32) -> Acknowledged {
        let mut since = None;
        for told in self.scopes.values() {
            match told {
                Some(told) if told.generation >= generation => since = since.max(Some(told.at)),
                _ => return Acknowledged::No,
            }
        }
        since.map_or(Acknowledged::Yes, |since| {
            self.book.acknowledged(generation, since, now, period_ms, None)
        })
    }

    /// Scopes that have been told of the run long ago, and of which nothing has been heard.
    fn silent(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        self.scopes.iter().filter_map(move |(scope, told)| {
            let overdue = now.duration_since(told.as_ref()?.first) >= SILENCE;
            let heard = self.book.heard().any(|vm| vm.scope == scope);
            (overdue && !heard).then_some(scope.as_str())
        })
    }

    /// How many proxies of each scope report.
    fn reporting(&self, now: Timestamp) -> BTreeMap<String, usize> {
        let mut reporting: BTreeMap<_, _> = self.scopes.keys().map(|it| (it.clone(), 0)).collect();
        for (scope, _) in self.book.reporting(now) {
            if let Some(proxies) = reporting.get_mut(scope) {
                *proxies += 1;
            }
        }
        reporting
    }

    /// Proxies with VMs that report no longer.
    fn missing(&self, now: Timestamp) -> impl Iterator<Item = String> {
        self.book.missing(now).take(NAMED_MAX).map(|it| {
            let Missing { scope, proxy, .. } = it;
            format!(
                "A filter of {proxy} reports no longer, others of that proxy do: the table of scope {scope} is written \
                 anew, which starts it again (see the proxy's log for why it stopped); what it does not decide stays \
                 on primary"
            )
        })
    }

    /// Tables that proxies refuse.
    fn refusing(&self) -> impl Iterator<Item = String> {
        let problems = self.book.heard().filter_map(|vm| Some((vm.proxy, vm.problem?)));
        let by_proxy: BTreeMap<_, _> = problems.collect();
        let line = |(proxy, problem)| format!("The filter of {proxy} refuses its table: {problem}");
        by_proxy.into_iter().take(NAMED_MAX).map(line)
    }
}

impl Hints {
    fn silence(&self, scope: &str) -> String {
        let Self { module, service, .. } = self;
        format!(
            "No proxy of scope {scope} has reported since it was told of the rollout: a Sidecar or a NetworkPolicy \
             hides Service {service} from it, or {module} could not be fetched (see the proxy's log), or no pod \
             there has a proxy; what it does not know stays on primary"
        )
    }
}

#[cfg(test)]
mod tests;
