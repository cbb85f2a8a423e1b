//! What all root contexts and streams of one VM share.
//!
//! Envoy keeps the VM and makes a new root context for each new configuration, so what must outlive a configuration
//! lives here: the boot's identity, the counters, the statistics.

use std::cell::RefCell;
use std::rc::Rc;

use serin_route::Router;

use crate::host;
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
    pub(crate) fn configure(&mut self, root: u32) -> Option<SharedScope> {
        let plugin = plugin();
        let table = Router::parse(&host::configuration(), &self.node.labels);
        let scope = match &table {
            Ok(router) => self.scope_named(&router.table().scope, &plugin),
            Err(_) => self.scope_of(&plugin),
        };
        let mut scope_mut = scope.try_borrow_mut().ok()?;
        match table {
            Ok(router) => scope_mut.load(router),
            Err(problems) => {
                host::warn(&format!("serin: the last good table stays in force: {problems}"));
                self.metrics.count(Event::ConfigRejected);
                scope_mut.refuse(&problems);
            }
        }
        Metrics::rejected(&scope_mut.name, scope_mut.problem.is_some());
        scope_mut.plugin = plugin;
        scope_mut.lead(root);
        drop(scope_mut);
        Some(scope)
    }

    /// Lets a root context go. Its scope stays, even if that was the last: should it come back, its counters must go on
    /// where they were, for they are this boot's.
    pub(crate) fn leave(&mut self, root: u32, scope: &SharedScope) {
        if let Ok(mut scope) = scope.try_borrow_mut() {
            scope.leave(root);
        }
        let is_left = |it: &SharedScope| it.try_borrow().is_ok_and(|scope| scope.is_left());
        let mut surplus =
            self.scopes.iter().filter(|it| is_left(it)).count().saturating_sub(LEFT_MAX);
        self.scopes.retain(|it| {
            let oldest = surplus > 0 && is_left(it);
            surplus = surplus.saturating_sub(usize::from(oldest));
            !oldest
        });
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

    /// The scope of that name; tables without one belong to their plugin alone.
    fn scope_named(&mut self, name: &str, plugin: &[u8]) -> SharedScope {
        let same =
            |scope: &Scope| scope.name == name && (!name.is_empty() || scope.plugin == plugin);
        self.scope_where(same, name)
    }

    /// The scope that a plugin configured last, for a configuration that does not say its scope.
    fn scope_of(&mut self, plugin: &[u8]) -> SharedScope {
        self.scope_where(|scope| scope.plugin == plugin, "")
    }

    fn scope_where(&mut self, same: impl Fn(&Scope) -> bool, name: &str) -> SharedScope {
        let mut newest_first = self.scopes.iter().rev();
        let known = newest_first.find(|it| it.try_borrow().is_ok_and(|scope| same(&scope)));
        if let Some(known) = known {
            return known.clone();
        }
        let scope = Scope::new(name.to_owned(), self.random.fork());
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
