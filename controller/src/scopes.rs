//! The scopes' own reconciler: from the committed statuses of all Canaries to one `WasmPlugin` for each scope.
//!
//! It is woken by whatever its result depends on, reads only what its watches hold, and writes what differs from that.
//! A plugin is there as soon as a Canary names its scope, before any rollout.

mod members;
mod revivals;
mod watched;
mod writer;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock;
use crate::context::Context;
use crate::feed::Followed;
use crate::interests::Key;
use crate::scope::{Order, Scope, Tables, plugin, revived, tables};
use crate::tokens::Tokens;

use members::{Gathered, Members};
use revivals::Revivals;
use watched::Watched;
use writer::{Outcome, Writer};

/// What comes at once is looked at together.
const TOGETHER: Duration = Duration::from_millis(5);
/// While not all watches have begun.
const BEGINNING: Duration = Duration::from_millis(50);
/// After a write that failed; then twice as long each time.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(20);
/// Silence is no event: while somebody should report, it is listened for. It asks nobody.
const LISTENING: Duration = Duration::from_secs(2);

/// Wakes the scopes' reconciler.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    changed: Notify,
    /// The versions of the Canaries that it was woken for.
    versions: Mutex<BTreeMap<Key, Option<String>>>,
}

impl Scopes {
    /// A Canary was seen, in this version.
    pub(crate) fn seen(&self, canary: &Key, version: Option<&str>) {
        let version = version.map(str::to_owned);
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if versions.insert(canary.clone(), version.clone()) != Some(version) {
            self.changed.notify_one();
        }
    }

    /// A Canary is gone.
    pub(crate) fn forget(&self, canary: &Key) {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).remove(canary);
        self.changed.notify_one();
    }
}

/// Keeps the scopes' plugins as they should be. It never ends.
pub(crate) async fn follow(context: &Context) {
    let (watched, changes) = watched::begin(&context.client);
    let (mut tokens, mut flagger) = (context.tokens.subscribe(), context.flagger.subscribe());
    let mut keeper = Keeper::new(context, watched);
    let mut changes = pin!(changes);
    let mut retry = Some(Duration::ZERO);
    loop {
        let overdue = retry.map(|wait| Instant::now() + wait);
        tokio::select! {
            () = keeper.somebody_to_revive() => {}
            () = context.scopes.changed.notified() => {}
            Some(()) = changes.next() => {}
            Ok(()) = tokens.changed() => {}
            Ok(()) = flagger.changed() => {}
            () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {}
        }
        sleep(TOGETHER).await;
        while let Some(Some(())) = changes.next().now_or_never() {}
        retry = keeper.look().await;
    }
}

struct Keeper<'a> {
    context: &'a Context,
    watched: Watched,
    members: Members,
    writer: Writer,
    /// Looks in a row that did not come to their end.
    failures: u32,
    revivals: Revivals,
}

impl<'a> Keeper<'a> {
    fn new(context: &'a Context, watched: Watched) -> Self {
        let writer = Writer::new(&context.client, &context.options.installation.root_namespace);
        let (members, revivals) = (Members::default(), Revivals::default());
        Self { context, watched, members, writer, failures: 0, revivals }
    }

    /// Until some filters have fallen silent, and are to be given another config.
    async fn somebody_to_revive(&mut self) {
        let feed = &self.context.feed;
        loop {
            sleep(LISTENING).await;
            let now = clock::now();
            if feed.expects() && self.revivals.decide(&feed.missing(now), now) {
                return;
            }
        }
    }

    /// One look at everything; when to look again, if not all is as it should be.
    async fn look(&mut self) -> Option<Duration> {
        let tokens = self.context.tokens.borrow().clone();
        let Some(tokens) = tokens.filter(|_| self.watched.is_ready()) else {
            return Some(BEGINNING);
        };
        let Some(gathered) = self.members.gather(self.context, &self.watched).await else {
            return Some(BEGINNING);
        };
        let tables = tables(gathered.members.values());
        self.declare(&gathered, &tables, &tokens);
        let outcomes = self.write(&tables, &tokens).await;
        let all = tables.scopes.keys().cloned().collect();
        let pruned = self.writer.prune(&self.watched, &all, &gathered.opaque).await;
        self.context.feed.trouble(troubles(&gathered, &tables, &outcomes));
        let failed = !pruned || outcomes.values().any(Outcome::is_failure);
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        failed.then(|| RETRY.saturating_mul(1 << (self.failures - 1).min(8)).min(RETRY_MAX))
    }

    /// Reports may come as soon as a plugin is written: they find a book.
    fn declare(&self, gathered: &Gathered, tables: &Tables, tokens: &Tokens) {
        let followed = gathered.members.iter().filter_map(|(canary, member)| {
            let rollout = member.rollout.as_ref()?;
            let (name, run) = (rollout.name.clone(), rollout.run.clone());
            Some(Followed { canary: canary.clone(), name, run, scopes: member.scopes.clone() })
        });
        let passes = tables.scopes.keys().flat_map(|scope| {
            let accepted = tokens.accepted(&scope.name()).into_iter();
            accepted.map(|token| (token, scope.clone()))
        });
        self.context.feed.declare(followed.collect(), passes.collect::<HashMap<_, _>>());
    }

    /// Tells each scope's filters their table.
    async fn write(&mut self, tables: &Tables, tokens: &Tokens) -> BTreeMap<Scope, Outcome> {
        let all: BTreeSet<Scope> = tables.scopes.keys().cloned().collect();
        let installation = &self.context.options.installation;
        let (watched, revivals) = (&self.watched, &mut self.revivals);
        let wanted = tables.scopes.iter().map(|(scope, rollouts)| {
            let token = tokens.of(&scope.name());
            let namespace = scope.plugin_namespace(&installation.root_namespace);
            let there = watched.plugin(namespace, &scope.plugin_name());
            let written = there.map_or(0, |it| revived(&it));
            let order = Order { token: &token, revived: revivals.of(&scope.name(), written) };
            (scope.clone(), plugin(scope, rollouts, &all, order, installation))
        });
        let outcomes = self.writer.put(&self.watched, wanted.collect()).await;
        let now = clock::now();
        for (scope, rollouts) in &tables.scopes {
            if outcomes.get(scope).is_some_and(Outcome::is_told) {
                self.context.feed.told(&scope.name(), rollouts, now);
            }
        }
        outcomes
    }
}

/// What each Canary's author should know.
fn troubles(
    gathered: &Gathered,
    tables: &Tables,
    outcomes: &BTreeMap<Scope, Outcome>,
) -> BTreeMap<Key, BTreeSet<String>> {
    let mut troubles = BTreeMap::<_, BTreeSet<_>>::new();
    for (canary, member) in &gathered.members {
        let told = member.scopes.iter().filter_map(|scope| outcomes.get(scope)?.line());
        let rollout = member.rollout.as_ref().map(|it| format!("{}.{}", it.name, it.namespace));
        let refused = tables.refused.iter().filter(|it| Some(&it.rollout) == rollout.as_ref());
        let refused = refused.map(|it| {
            format!(
                "It is in no table of scope {}, where all goes to primary: {}",
                it.scope, it.why
            )
        });
        let lines: BTreeSet<String> = told.map(str::to_owned).chain(refused).collect();
        if !lines.is_empty() {
            troubles.insert(canary.clone(), lines);
        }
    }
    troubles
}
