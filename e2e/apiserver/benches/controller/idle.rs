//! Canaries that nothing happens to: the memory that the controller keeps for them, and what it asks the API server.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_cluster::{apiserver::ApiServer, say};
use serin_e2e::{calls::Calls, cpu::Cpu};
use serin_e2e_apiserver::{path, program::Program};

use crate::{LOOK, POD, Stage, interruption, process::resident, until};

/// As teams have them: so many Canaries in one namespace.
const TEAM: usize = 20;
/// Nothing happens for so long while it is counted.
const IDLE: Duration = Duration::from_mins(1);
/// When nothing was asked for so long, it has come to rest.
const CALM: Duration = Duration::from_secs(5);
/// Longer than thousands of Canaries take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(25);
/// Fewer do not show what each of them takes.
const MANY: usize = 100;
/// Authors who write at once.
const AUTHORS: usize = 4;

/// One number of Canaries.
struct Measured {
    canaries: usize,
    /// After it has made what each of them needs.
    made: Life,
    /// After a restart, as after a change of leader.
    restarted: Life,
}

/// One process, from its start until after a while of idleness.
struct Life {
    /// Until it was at rest.
    took: Duration,
    /// Until it was at rest.
    calls: Calls,
    resident: f64,
    peak: f64,
    /// While nothing happened.
    idle: Calls,
    idle_cpu: Duration,
}

/// The table, with so many Canaries at a time: a rising sequence.
pub(crate) fn measure(counts: &[usize]) -> Result<String> {
    ensure!(counts.is_sorted(), "more Canaries are added, none is taken away: {counts:?} falls");
    let stage = Stage::set()?;
    let bare = live(&stage.server, 0)?;
    say::note(&format!("without any Canary: {}", bare.line(0)));
    let mut all = Vec::new();
    let mut there = 0;
    for canaries in counts.iter().copied() {
        (there..canaries).try_for_each(|index| stage.namespace(&team(index)))?;
        say::part(&format!("making {canaries} Canaries"), || {
            author(&stage.server, there..canaries)
        })?;
        there = canaries;
        let made = live(&stage.server, canaries)?;
        say::note(&format!("{canaries} made: {}", made.line(canaries)));
        let restarted = live(&stage.server, canaries)?;
        say::note(&format!("{canaries} after a restart: {}", restarted.line(canaries)));
        all.push(Measured { canaries, made, restarted });
    }
    table(&bare, &all)
}

/// A controller that brings all Canaries to rest, and is then left alone.
fn live(server: &ApiServer, canaries: usize) -> Result<Life> {
    let began = Instant::now();
    let mut program = Program::quiet(server.kubeconfig(), "default", POD);
    program.until_logged("leading");
    until("Canaries to be initialized", PATIENCE, || {
        let there = initialized(server);
        (there < canaries).then(|| format!("{there} of {canaries}"))
    })?;
    let mut last = (calls_of(&program)?.for_canaries(), Instant::now());
    until("the controller to be at rest", PATIENCE, || {
        let calls = calls_of(&program).map_or(u64::MAX, |calls| calls.for_canaries());
        if calls != last.0 {
            last = (calls, Instant::now());
        }
        (last.1.elapsed() < CALM).then(|| format!("{calls} calls"))
    })?;
    let (took, calls) = (last.1 - began, calls_of(&program)?);
    let cpu = Cpu::of(program.pid());
    let before = cpu.nanoseconds()?;
    let left_alone = Instant::now();
    while left_alone.elapsed() < IDLE {
        interruption::check()?;
        thread::sleep(LOOK);
    }
    let idle_cpu = Duration::from_nanos(cpu.nanoseconds()?.saturating_sub(before));
    let idle = calls_of(&program)?.since(&calls);
    let (resident, peak) = resident(program.pid())?;
    let (status, _) = program.stop();
    ensure!(status.success(), "the controller ended with {status}: {:?}", program.lines().last());
    Ok(Life { took, calls, resident, peak, idle, idle_cpu })
}

fn calls_of(program: &Program) -> Result<Calls> {
    let (status, text) = program.get("/metrics");
    ensure!(status == 200, "/metrics is answered with {status}");
    Calls::read(&text)
}

impl Life {
    fn line(&self, canaries: usize) -> String {
        let (reads, writes) = self.calls.reads_and_writes();
        let each = |count: u64| count as f64 / canaries.max(1) as f64;
        format!(
            "at rest after {:.1} s, {:.1} reads and {:.1} writes each; {:.1} MiB (at most {:.1}); idle for a minute: \
             {} calls, {} of them the election's, {:.2} s CPU; {}",
            self.took.as_secs_f64(),
            each(reads),
            each(writes),
            self.resident,
            self.peak,
            self.idle.for_canaries() + self.idle.for_election(),
            self.idle.for_election(),
            self.idle_cpu.as_secs_f64(),
            self.idle.most(),
        )
    }
}

fn table(bare: &Life, all: &[Measured]) -> Result<String> {
    let mut text =
        String::from("Idle Canaries: resident MiB (peak), and what one idle minute took\n");
    let mut row = |cells: [&str; 7]| {
        let [count, made, restarted, each, cpu, calls, theirs] = cells;
        writeln!(
            text,
            "{count:>8} {made:>18} {restarted:>18} {each:>9} {cpu:>6} {calls:>11}   {theirs}"
        )
    };
    row([
        "Canaries",
        "after making them",
        "after a restart",
        "KiB each",
        "CPU s",
        "calls each",
        "Flagger 1.44",
    ])?;
    row(["0", &sized(bare), "", "", &cpu(bare), "", ""])?;
    for Measured { canaries, made, restarted } in all {
        let each = |of: f64| of / *canaries as f64;
        let more = each((restarted.resident - bare.resident).max(0.0) * 1024.0);
        let asked = each(restarted.idle.for_canaries() as f64);
        let [count, more, asked] =
            [format!("{canaries}"), format!("{more:.0}"), format!("{asked:.2}")];
        let more = if *canaries < MANY { String::new() } else { more };
        let theirs = "about 17 calls each tick";
        row([&count, &sized(made), &sized(restarted), &more, &cpu(restarted), &asked, theirs])?;
    }
    if let Some(Measured { canaries, made, restarted }) = all.last() {
        let each = |count: u64| count as f64 / *canaries as f64;
        let [(reads, writes), (again, _)] = [made, restarted].map(|it| it.calls.reads_and_writes());
        let election = restarted.idle.for_election();
        writeln!(
            text,
            "of {canaries}: {:.1} reads and {:.1} writes each to make what they need, {:.1} reads after a restart; the \
             election takes {election} calls a minute",
            each(reads),
            each(writes),
            each(again),
        )?;
    }
    Ok(text)
}

fn cpu(life: &Life) -> String {
    format!("{:.2}", life.idle_cpu.as_secs_f64())
}

fn sized(life: &Life) -> String {
    format!("{:.1} ({:.1})", life.resident, life.peak)
}

fn initialized(server: &ApiServer) -> usize {
    // A busy machine may not answer in time; whoever waits for a number asks again.
    let Ok(list) = server.get("/apis/serin.dev/v1beta1/canaries") else { return 0 };
    let items = list["items"].as_array().into_iter().flatten();
    items.filter(|it| it["status"]["phase"] == "Initialized").count()
}

/// Makes Canaries and their Deployments.
fn author(server: &ApiServer, indices: std::ops::Range<usize>) -> Result<()> {
    thread::scope(|scope| {
        let share = |author: usize| indices.clone().filter(move |index| index % AUTHORS == author);
        let work = |author| move || share_of(server, share(author));
        let all: Vec<_> = (0..AUTHORS).map(|author| scope.spawn(work(author))).collect();
        all.into_iter()
            .try_for_each(|it| it.join().unwrap_or_else(|_| anyhow::bail!("an author panicked")))
    })
}

fn share_of(server: &ApiServer, indices: impl Iterator<Item = usize>) -> Result<()> {
    for index in indices {
        interruption::check()?;
        for object in [deployment(index), canary(index)] {
            server.apply(&path(&object)?, "author", &object)?;
        }
    }
    Ok(())
}

/// The namespace of a Canary.
fn team(index: usize) -> String {
    format!("team-{:03}", index / TEAM)
}

/// Without pods: its author has scaled it to none.
fn deployment(index: usize) -> Value {
    let name = format!("app-{index:04}");
    let labels = json!({ "app": name });
    let container = json!({ "name": "app", "image": "registry.example/app:1" });
    let template =
        json!({ "metadata": { "labels": labels }, "spec": { "containers": [container] } });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": team(index) },
        "spec": { "replicas": 0, "selector": { "matchLabels": labels }, "template": template },
    })
}

fn canary(index: usize) -> Value {
    let name = format!("app-{index:04}");
    json!({
        "apiVersion": "serin.dev/v1beta1", "kind": "Canary", "metadata": { "name": name, "namespace": team(index) },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "service": { "port": 80 },
            "analysis": { "interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50 },
        },
    })
}
