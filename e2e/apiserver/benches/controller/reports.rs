//! What the controller spends on the filters' reports while a release goes on: on each as fast as they come, and with
//! everything that they make it do when they come as they do.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_cluster::{apiserver::ApiServer, say};
use serin_e2e::cpu::Cpu;
use serin_e2e_apiserver::{path, program::Program};
use tokio::{
    runtime::Runtime,
    task::{JoinSet, LocalSet},
};

use crate::{
    POD, Stage, interruption, until,
    vm::{Connection, Protocol, Vm},
};

const NAMESPACE: &str = "reports";
/// Proxies, of one VM each.
const VMS: usize = 50;
/// Rounds of each case.
const ROUNDS: usize = 5;
/// Between two reports of a filter.
const PERIOD: Duration = Duration::from_secs(1);
/// Periods of one round at the filters' own pace.
const PERIODS: usize = 10;
const PATIENCE: Duration = Duration::from_mins(3);

/// How they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Case {
    /// One after the other.
    Dense(Protocol),
    /// Once a period.
    Paced,
}

/// Seconds of CPU for a thousand reports, by round.
type Samples = BTreeMap<Case, Vec<f64>>;

/// A release under way, and who reports of it.
struct Release {
    program: Program,
    vms: Vec<Vm>,
    bytes: usize,
    sent: usize,
}

/// The table, of so many reports in each round of a dense case.
pub(crate) fn measure(count: usize) -> Result<String> {
    ensure!(count >= VMS, "{count} reports are less than one of each of {VMS} proxies");
    let stage = Stage::set()?;
    stage.namespace(NAMESPACE)?;
    let program = Program::quiet(stage.server.kubeconfig(), "default", POD);
    begin(&stage.server)?;
    // A VM is of one thread, as in Envoy.
    let (runtime, vms) = (Runtime::new()?, LocalSet::new());
    let mut release = vms.block_on(&runtime, Release::heard(&stage.server, program))?;
    let mut samples = Samples::new();
    for round in 1..=ROUNDS {
        for case in [Case::Dense(Protocol::Http1), Case::Dense(Protocol::Http2), Case::Paced] {
            let sample = vms.block_on(&runtime, release.round(case, count))?;
            say::note(&format!(
                "round {round} of {ROUNDS}, {case:?}: {sample:.3} s CPU for 1 000 reports"
            ));
            samples.entry(case).or_default().push(sample);
        }
    }
    let ended = phase(&stage.server)?;
    ensure!(
        ended == "Progressing",
        "the release is {ended} meanwhile: the rounds do not measure the same"
    );
    table(&samples, &release)
}

/// Brings a Canary to the first table of a release.
fn begin(server: &ApiServer) -> Result<()> {
    for object in [deployment("1"), canary()] {
        server.apply(&path(&object)?, "author", &object)?;
    }
    until("the Canary to be initialized", PATIENCE, || {
        let phase = phase(server).unwrap_or_default();
        (phase != "Initialized").then_some(phase)
    })?;
    let changed = deployment("2");
    server.apply(&path(&changed)?, "author", &changed)?;
    until("a table with the release", PATIENCE, || table_of(server).is_err().then(String::new))
}

impl Release {
    /// Boots the VMs, and has them heard until the canary is given weight.
    async fn heard(server: &ApiServer, program: Program) -> Result<Self> {
        let table = table_of(server)?;
        let vms = (0..VMS).map(|index| Vm::boot(index, &table)).collect::<Result<_>>()?;
        let mut release = Self { program, vms, bytes: 0, sent: 0 };
        let began = Instant::now();
        // The status is ahead of the table.
        let table = loop {
            let table = table_of(server)?;
            if weight_in(&table)? > 0 {
                break table;
            }
            ensure!(began.elapsed() < PATIENCE, "no weight although all proxies show the table");
            release.send(Case::Paced, 1).await?;
        };
        release.vms.iter_mut().try_for_each(|vm| vm.load(&table))?;
        Ok(release)
    }

    /// Seconds of CPU for a thousand reports.
    async fn round(&mut self, case: Case, count: usize) -> Result<f64> {
        let each = match case {
            Case::Dense(_) => count / VMS,
            Case::Paced => PERIODS,
        };
        let cpu = Cpu::of(self.program.pid());
        let before = cpu.nanoseconds()?;
        self.send(case, each).await?;
        let spent = Duration::from_nanos(cpu.nanoseconds()?.saturating_sub(before));
        Ok(spent.as_secs_f64() * 1000.0 / (each * VMS) as f64)
    }

    /// Each VM reports so many times.
    async fn send(&mut self, case: Case, each: usize) -> Result<()> {
        interruption::check()?;
        let address = self.program.reports();
        let protocol = if let Case::Dense(protocol) = case { protocol } else { Protocol::Http1 };
        let first = Connection::open(&address, protocol).await?;
        let mut senders = JoinSet::new();
        for mut vm in self.vms.drain(..) {
            let mut connection = match first.share() {
                Some(shared) => shared,
                None => Connection::open(&address, protocol).await?,
            };
            senders.spawn_local(async move {
                let mut bytes = 0;
                if case == Case::Paced {
                    tokio::time::sleep(PERIOD.mul_f64(fastrand::f64())).await;
                }
                for _ in 0..each {
                    let began = tokio::time::Instant::now();
                    bytes = vm.tell(&mut connection, NAMESPACE).await?;
                    if case == Case::Paced {
                        tokio::time::sleep_until(began + PERIOD).await;
                    }
                }
                anyhow::Ok((vm, bytes))
            });
        }
        while let Some(sent) = senders.join_next().await {
            let (vm, bytes) = sent??;
            self.vms.push(vm);
            self.bytes = self.bytes.max(bytes);
            self.sent += each;
        }
        Ok(())
    }
}

fn table(samples: &Samples, release: &Release) -> Result<String> {
    let mut text = format!(
        "Reports received, seconds of CPU for 1 000 of {} bytes from {VMS} proxies; {} answered, all with 200\n\
         {:52} median   worst of {ROUNDS}\n",
        release.bytes, release.sent, "",
    );
    for (case, seconds) in samples {
        let mut seconds = seconds.clone();
        seconds.sort_by(f64::total_cmp);
        let worst = seconds.last().context("a case without a round")?;
        let median = seconds[seconds.len() / 2];
        let name = match case {
            Case::Dense(Protocol::Http1) => "HTTP/1.1, without a pause",
            Case::Dense(Protocol::Http2) => "HTTP/2, one connection, without a pause",
            Case::Paced => "each proxy once a second, with all decisions",
        };
        writeln!(text, "{name:52} {median:>6.3}   {worst:>10.3}")?;
    }
    Ok(text)
}

fn phase(server: &ApiServer) -> Result<String> {
    let it = server.get(&path(&canary())?)?;
    Ok(it["status"]["phase"].as_str().unwrap_or_default().to_owned())
}

fn weight_in(table: &[u8]) -> Result<u64> {
    let table: Value = serde_json::from_slice(table)?;
    table["rollouts"][0]["weight"].as_u64().context("a rollout without a weight")
}

/// What the filters of the namespace are given, once a release is in it.
fn table_of(server: &ApiServer) -> Result<Vec<u8>> {
    let plugins = format!("/apis/extensions.istio.io/v1alpha1/namespaces/{NAMESPACE}/wasmplugins");
    let all = server.get(&plugins)?;
    let mut tables =
        all["items"].as_array().into_iter().flatten().map(|it| &it["spec"]["pluginConfig"]);
    let table = tables.find(|table| !table["rollouts"][0].is_null());
    Ok(serde_json::to_vec(table.context("no table has a release")?)?)
}

fn deployment(tag: &str) -> Value {
    let labels = json!({ "app": "shop" });
    let container = json!({ "name": "app", "image": format!("registry.example/shop:{tag}") });
    let template =
        json!({ "metadata": { "labels": labels }, "spec": { "containers": [container] } });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop", "namespace": NAMESPACE },
        "spec": { "selector": { "matchLabels": labels }, "template": template },
    })
}

/// Its steps are longer than all rounds.
fn canary() -> Value {
    json!({
        "apiVersion": "serin.dev/v1beta1", "kind": "Canary", "metadata": { "name": "shop", "namespace": NAMESPACE },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop" },
            "service": { "port": 80 },
            "analysis": { "interval": "1h", "threshold": 5, "stepWeight": 10, "maxWeight": 50 },
        },
    })
}
