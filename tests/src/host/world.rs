//! What the host knows: clock, chance, contexts, statistics, calls, and which of its functions were called.

use std::collections::BTreeMap;

use wasmi::{Memory, TypedFunc};

use crate::host::envoy::Stream;

/// One call from the module to its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostcall {
    /// The function, without `proxy_`.
    pub name: &'static str,
    /// What it was asked for: a property's path with dots, a header's name.
    pub about: String,
    /// Whether it handed bytes or a value back.
    pub returned: bool,
}

/// A request that the module had the host send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The root context that sent it.
    pub root: u32,
    /// Names it in its answer.
    pub token: u32,
    /// Envoy's name of the cluster.
    pub cluster: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// How long Envoy waits for the answer.
    pub timeout_ms: u32,
}

/// The host's side.
pub struct World {
    /// The wall clock.
    pub now_ns: u64,
    /// Properties of the proxy, by path with NUL between the parts.
    pub node: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Calls that the module made and nobody took out yet.
    pub calls: Vec<Call>,
    /// Whether calls can be made; Envoy refuses one to a cluster that it does not know.
    pub cluster_known: bool,
    /// Whether properties of a stream can be set.
    pub settable: bool,
    /// Lines that the module logged.
    pub logged: Vec<String>,
    /// Functions called since this was last emptied; off unless it holds something to begin with.
    pub hostcalls: Option<Vec<Hostcall>>,
    pub(super) current: u32,
    pub(super) answer_status: Option<Vec<u8>>,
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) metrics: Vec<(String, u64)>,
    roots: BTreeMap<u32, Root>,
    random: u64,
    tokens: u32,
    memory: Option<(Memory, TypedFunc<u32, u32>)>,
}

struct Root {
    plugin: String,
    configuration: Vec<u8>,
    tick_ms: u32,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut node = BTreeMap::new();
        node.insert(b"xds\0node\0id".to_vec(), b"sidecar~10.0.0.7~shop-1.prod".to_vec());
        node.insert(b"xds\0node\0metadata\0NAMESPACE".to_vec(), b"prod".to_vec());
        Self {
            now_ns: 1_800_000_000_000_000_000,
            node,
            calls: Vec::new(),
            cluster_known: true,
            settable: true,
            logged: Vec::new(),
            hostcalls: None,
            current: 0,
            answer_status: None,
            streams: BTreeMap::new(),
            metrics: Vec::new(),
            roots: BTreeMap::new(),
            random: seed,
            tokens: 0,
            memory: None,
        }
    }

    /// A statistic by its name.
    pub fn metric(&self, name: &str) -> Option<u64> {
        self.metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Names of all statistics.
    pub fn metrics(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|(name, _)| &**name)
    }

    /// The tick period of a root context; 0 is never.
    pub fn tick_ms(&self, root: u32) -> u32 {
        self.roots.get(&root).map_or(0, |root| root.tick_ms)
    }

    /// Begins to note which functions are called.
    pub fn listen(&mut self) {
        self.hostcalls = Some(Vec::new());
    }

    /// The functions called since the last time.
    pub fn heard(&mut self) -> Vec<Hostcall> {
        self.hostcalls.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn attach(&mut self, memory: Memory, allocate: TypedFunc<u32, u32>) {
        self.memory = Some((memory, allocate));
    }

    pub(super) fn attached(&self) -> (Memory, TypedFunc<u32, u32>) {
        self.memory.expect("the instance is attached before it runs")
    }

    pub(super) fn knows(&self, id: u32) -> bool {
        self.roots.contains_key(&id) || self.streams.contains_key(&id)
    }

    pub(super) fn add_root(&mut self, id: u32, plugin: &str, configuration: &[u8]) {
        let (plugin, configuration) = (plugin.to_owned(), configuration.to_vec());
        self.roots.insert(id, Root { plugin, configuration, tick_ms: 0 });
    }

    pub(super) fn remove(&mut self, id: u32) {
        self.roots.remove(&id);
        self.streams.remove(&id);
        // Envoy cancels the calls of a context that ends.
        self.calls.retain(|call| call.root != id);
    }

    pub(super) fn configuration(&self) -> Option<&[u8]> {
        let root = self.roots.get(&self.current)?;
        Some(&root.configuration).filter(|it| !it.is_empty()).map(Vec::as_slice)
    }

    pub(super) fn set_tick(&mut self, period_ms: u32) {
        if let Some(root) = self.roots.get_mut(&self.current) {
            root.tick_ms = period_ms;
        }
    }

    pub(super) fn property(&self, path: &[u8]) -> Option<Vec<u8>> {
        if path == b"plugin_name" {
            return self.roots.get(&self.current).map(|root| root.plugin.clone().into_bytes());
        }
        let stream = self.streams.get(&self.current);
        stream.and_then(|it| it.property(path)).or_else(|| self.node.get(path).cloned())
    }

    pub(super) fn call(&mut self, mut call: Call) -> Option<u32> {
        self.tokens += 1;
        call.token = self.tokens;
        call.root = self.current;
        self.cluster_known.then(|| self.calls.push(call))?;
        Some(self.tokens)
    }

    /// `SplitMix64`: any seed gives good bytes.
    pub(super) fn random_byte(&mut self) -> u8 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()[0]
    }
}
