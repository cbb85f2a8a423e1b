//! Tables, requests and a receiver for the tests of the module.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serin_route::{
    Affinity, Cell, GenerationReport, Otherwise, Report, Reports, Rollout, SameSite, Secure, Side,
    Table, Track, VERSION, Weight,
};
use serin_tests::host::{Answer, Call, Exchange, Host, Routes, Vm};

pub(crate) const NONCE: &str = "nonce-1";
pub(crate) const TRACK: &str = "x-serin-track";
pub(crate) const PERIOD_MS: u32 = 1_000;

/// The module, compiled once.
pub(crate) fn host() -> &'static Host {
    static HOST: LazyLock<Host> = LazyLock::new(Host::of_dist);
    &HOST
}

/// `shop.prod` at a weight in percent.
pub(crate) fn rollout(percent: u8) -> Rollout {
    Rollout {
        name: "shop".into(),
        namespace: "prod".into(),
        run: "run-1".into(),
        generation: 1,
        salt: "000102030405060708090a0b0c0d0e0f".into(),
        nonce: NONCE.into(),
        weight: Weight::from_percent(percent),
        rules: Vec::new(),
        otherwise: Otherwise::Weighted,
        keys: Vec::new(),
        affinity: None,
        edges_ms: vec![1, 10, 100, 1_000],
        routes: Vec::new(),
        direct: None,
        grpc: false,
        retries: false,
    }
}

/// The cookie `shop`.
pub(crate) fn affinity() -> Affinity {
    Affinity {
        cookie: "shop".into(),
        max_age_s: 86_400,
        domain: None,
        path: "/".into(),
        http_only: true,
        secure: Secure::WhenHttps,
        same_site: SameSite::Lax,
        partitioned: false,
    }
}

/// A table of the scope `prod` that wants reports.
pub(crate) fn table(rollouts: Vec<Rollout>) -> Table {
    Table {
        version: VERSION,
        scope: "prod".into(),
        side: Side::Client,
        claim: false,
        reports: Some(Reports {
            cluster: "serin".into(),
            authority: "serin.serin-system".into(),
            path: "/v1/reports".into(),
            token: "token".into(),
            period_ms: PERIOD_MS,
        }),
        rollouts,
    }
}

/// A table as Envoy hands it over.
pub(crate) fn configuration(table: &Table) -> Vec<u8> {
    serde_json::to_vec(table).expect("a table is JSON")
}

/// A request on `shop.prod`'s routes.
pub(crate) fn shop() -> Exchange {
    Exchange::get(shop_routes())
}

pub(crate) fn shop_routes() -> Routes {
    Routes::Rollout { place: "shop.prod".into(), nonce: NONCE.into() }
}

/// One Envoy thread with one plugin, and the receiver of its reports.
pub(crate) struct Thread {
    pub(crate) vm: Vm,
    pub(crate) root: u32,
    pub(crate) receiver: Receiver,
}

impl Thread {
    pub(crate) fn with(table: &Table) -> Self {
        Self::seeded(1, table)
    }

    pub(crate) fn seeded(seed: u64, table: &Table) -> Self {
        let mut vm = host().start(seed);
        let root = vm.configure("prod.serin", &configuration(table));
        Self { vm, root, receiver: Receiver::default() }
    }

    /// A new configuration of the same plugin; the old root context stays until it is deleted. Returns the old one.
    pub(crate) fn configure(&mut self, configuration: &[u8]) -> u32 {
        let root = self.vm.configure("prod.serin", configuration);
        std::mem::replace(&mut self.root, root)
    }

    pub(crate) fn load(&mut self, table: &Table) -> u32 {
        self.configure(&configuration(table))
    }

    /// A request and its end.
    pub(crate) fn exchange(&mut self, exchange: &Exchange, answer: &Answer) -> Option<Vec<u8>> {
        let passed = self.vm.exchange(self.root, exchange, answer);
        passed.request(TRACK).map(<[u8]>::to_vec)
    }

    /// One tick; reports that are sent arrive and are answered.
    pub(crate) fn tick(&mut self) {
        self.vm.tick(self.root);
        self.deliver();
    }

    /// Takes the reports on their way and answers them.
    pub(crate) fn deliver(&mut self) {
        for call in std::mem::take(&mut self.vm.world_mut().calls) {
            self.receiver.take(&call);
            self.vm.answer(&call, Some(b"200"));
        }
    }

    /// Loses the reports on their way; the calls fail.
    pub(crate) fn lose(&mut self) {
        for call in std::mem::take(&mut self.vm.world_mut().calls) {
            self.vm.answer(&call, None);
        }
    }

    /// Ticks until everything is told.
    pub(crate) fn settle(&mut self) {
        for _ in 0..4 {
            self.tick();
        }
    }

    /// The counts of `shop.prod`'s first run and a generation, as the receiver knows them.
    pub(crate) fn generation(&self, number: u64) -> GenerationReport {
        let key = ("run-1".to_owned(), number);
        self.receiver.generations.get(&key).cloned().unwrap_or_default()
    }

    /// The only cell of a track in generation 1.
    pub(crate) fn cell(&self, track: Track) -> Cell {
        let mut cells = self.generation(1).cells;
        cells.retain(|cell| cell.track == track);
        assert_eq!(cells.len(), 1, "{cells:?}");
        cells.remove(0)
    }
}

/// Keeps the newest counts, as the controller does.
#[derive(Default)]
pub(crate) struct Receiver {
    pub(crate) reports: Vec<Report>,
    pub(crate) generations: BTreeMap<(String, u64), GenerationReport>,
}

impl Receiver {
    pub(crate) fn take(&mut self, call: &Call) {
        let header = |name: &str| {
            let found = call.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| &**value)
        };
        assert_eq!(call.cluster, "serin");
        assert_eq!(header(":method"), Some("POST"));
        assert_eq!(header(":path"), Some("/v1/reports"));
        assert_eq!(header(":authority"), Some("serin.serin-system"));
        assert_eq!(header("authorization"), Some("Bearer token"));
        assert_eq!(header("content-type"), Some("application/json"));
        let report = Report::parse(&call.body).expect("a report keeps its own rules");
        for rollout in &report.rollouts {
            for generation in &rollout.generations {
                let key = (rollout.run.clone(), generation.generation);
                self.generations.insert(key, generation.clone());
            }
        }
        self.reports.push(report);
    }

    pub(crate) fn last(&self) -> &Report {
        self.reports.last().expect("there was a report")
    }
}
