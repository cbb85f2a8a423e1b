//! What all root contexts and streams of one VM share.
//!
//! Envoy keeps the VM and makes a new root context for each new configuration, so what must outlive a configuration
//! lives here: the boot's identity, the counters, the statistics.

use std::cell::RefCell;
use std::rc::Rc;

use serin_route::{Router, Side, Table};

use crate::host;
use crate::loaded::Configured;
use crate::metrics::{Event, Metrics};
use crate::node::Node;
use crate::random::Random;
use crate::scope::Scope;

/// Scopes kept whose root contexts are all gone.
const LEFT_MAX: usize = 16;

/// A scope as root contexts and streams hold it.
pub(crate) type SharedScope = Rc<RefCell<Scope>>;

/// One VM: one Envoy worker's, or the main thread's.
#[derive(Debug)]
pub(crate) struct Vm {
    /// Drawn once; all counters start at 0 with it.
    pub(crate) boot: String,
    pub(crate) node: Node,
    pub(crate) metrics: Metrics,
    random: Random,
    sequence: u64,
    scopes: Vec<SharedScope>,
}

thread_local! {
    // Seeded by the first root context and not when the module starts, for a host may start one and clone it.
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
}

/// Does something with the VM. None if it is being used already, which no host that keeps to the ABI can bring about.
pub(crate) fn with<T>(act: impl FnOnce(&mut Vm) -> T) -> Option<T> {
    let borrowed = |vm: &RefCell<Option<Vm>>| {
        let mut vm = vm.try_borrow_mut().ok()?;
        Some(act(vm.get_or_insert_with(Vm::start)))
    };
    VM.try_with(borrowed).ok()?
}

impl Vm {
    /// Gives a root context its scope, according to the configuration that it was handed.
    pub(crate) fn configure(&mut self, root: u32) -> Option<(SharedScope, Configured)> {
        let plugin = plugin();
        let text = host::configuration();
        let read = Router::parse(&text, &self.node.labels);
        let scope = match &read {
            Ok(router) => self.scope_named(router.table(), &plugin),
            Err(_) => self.scope_of(&plugin),
        };
        if let Err(problems) = &read {
            host::warn(&format!("serin: the last good table stays in force: {problems}"));
            self.metrics.count(Event::ConfigRejected);
        }
        let configured = scope.try_borrow().ok()?.configured(text, read);
        scope.try_borrow_mut().ok()?.plugin = plugin;
        self.lead(root, &scope, configured.clone());
        Some((scope, configured))
    }

    /// Makes a root context the one that reports, and its configuration the one in force.
    pub(crate) fn lead(&mut self, root: u32, scope: &SharedScope, configured: Configured) {
        let Ok(mut scope) = scope.try_borrow_mut() else { return };
        let is_good = matches!(configured, Configured::Table(_));
        scope.lead(root, configured);
        let (name, plugin) = (scope.name.clone(), scope.plugin.clone());
        drop(scope);
        if is_good {
            self.forgive(&plugin);
        }
        self.tell_rejected(&name);
    }

    /// Lets a root context go. Its scope stays, even if that was the last: should it come back, its counters must go on
    /// where they were, for they are this boot's.
    /// The root context that leads in its place, if it led.
    pub(crate) fn leave(&mut self, root: u32, scope: &SharedScope) -> Option<u32> {
        let heir = scope.try_borrow_mut().ok()?.leave(root);
        if heir.is_some() {
            self.tell_rejected(&scope.try_borrow().ok()?.name);
        }
        let is_left = |it: &SharedScope| it.try_borrow().is_ok_and(|scope| scope.is_left());
        let mut surplus =
            self.scopes.iter().filter(|it| is_left(it)).count().saturating_sub(LEFT_MAX);
        self.scopes.retain(|it| {
            let oldest = surplus > 0 && is_left(it);
            surplus = surplus.saturating_sub(usize::from(oldest));
            !oldest
        });
        heir
    }

    /// The number of the next report.
    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sequence = self.sequence.saturating_add(1);
        self.sequence
    }

    fn start() -> Self {
        let mut random = Random::seeded(seed());
        Self {
            boot: format!("{:016x}", random.draw()),
            node: Node::read(),
            metrics: Metrics::default(),
            random,
            sequence: 0,
            scopes: Vec::new(),
        }
    }

    /// A table's scope on its side; tables that name none belong to their plugin alone.
    fn scope_named(&mut self, table: &Table, plugin: &[u8]) -> SharedScope {
        let Table { scope: name, side, .. } = table;
        let is_same = |scope: &Scope| scope.name == *name && scope.side == *side;
        let same = |scope: &Scope| is_same(scope) && (!name.is_empty() || scope.plugin == plugin);
        self.scope_where(same, name, *side)
    }

    /// The scope that a plugin configured last, for a configuration that does not say its scope.
    fn scope_of(&mut self, plugin: &[u8]) -> SharedScope {
        self.scope_where(|scope| scope.plugin == plugin, "", Side::default())
    }

    /// A plugin has a good table: what was refused before it had any, and named no scope, is made good.
    fn forgive(&self, plugin: &[u8]) {
        let mut scopes = self.scopes.iter().filter_map(|it| it.try_borrow_mut().ok());
        let unnamed = scopes.find(|it| it.name.is_empty() && it.plugin == plugin);
        let problem = unnamed.and_then(|mut scope| scope.problem.take());
        if problem.is_some() {
            self.tell_rejected("");
        }
    }

    /// Says whether the newest table of a scope, on either side, was refused.
    fn tell_rejected(&self, name: &str) {
        let mut scopes = self.scopes.iter().filter_map(|it| it.try_borrow().ok());
        let rejected = scopes.any(|it| it.name == name && it.problem.is_some());
        Metrics::rejected(name, rejected);
    }

    fn scope_where(
        &mut self,
        same: impl Fn(&Scope) -> bool,
        name: &str,
        side: Side,
    ) -> SharedScope {
        let mut newest_first = self.scopes.iter().rev();
        let known = newest_first.find(|it| it.try_borrow().is_ok_and(|scope| same(&scope)));
        if let Some(known) = known {
            return known.clone();
        }
        let scope = Scope::new(name.to_owned(), side, self.random.fork());
        let scope = Rc::new(RefCell::new(scope));
        self.scopes.push(scope.clone());
        scope
    }
}

/// Envoy's name of the plugin at hand: the same for each of its configurations.
fn plugin() -> Vec<u8> {
    let mut plugin = host::property("plugin_name").unwrap_or_default();
    plugin.push(0);
    plugin.extend(host::property("plugin_root_id").unwrap_or_default());
    plugin
}

fn seed() -> [u64; 4] {
    if let Some(bytes) = host::random::<32>() {
        let mut seed = [0; 4];
        for (word, bytes) in seed.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        return seed;
    }
    // A host without randomness: the time tells VMs apart, if not by much.
    [host::now_ns(), 1, 2, 3]
}
