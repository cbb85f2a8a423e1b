//! The controller's process ends before and after every single write of a promotion, a rollback and a deletion, and
//! another takes over: the end is the same as without. Likewise where requests fail at random.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_api::keys;
use serin_cluster::{apiserver::ApiServer, say};
use serin_e2e_apiserver::{path, with_istio};

use crate::faults::{Asked, Fate, Process};
use crate::scenario::{Scenario, World, difference};
use crate::scripted::{alone, run_pods};

/// How many runs at once. Each is mostly the controller's waiting.
const LANES: usize = 16;
/// A run takes seconds; whoever restarts may have to wait for its backoff.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOKED_AT_EVERY: Duration = Duration::from_millis(150);
/// Long enough for a write that should not come.
const QUIET: Duration = Duration::from_millis(1500);
/// So often a request fails. A look takes some forty, and one that fails ends it.
const ODDS: f64 = 0.03;
const RANDOM_RUNS: usize = 8;

/// When the process ends, by the writes since the scenario's own part began.
#[derive(Clone, Copy, Debug)]
enum Crash {
    Before(usize),
    After(usize),
}

impl Crash {
    fn fate(self, asked: &Asked) -> Fate {
        match (self, asked.write) {
            (Self::Before(at), Some(now)) if at == now => Fate::DiesBefore,
            (Self::After(at), Some(now)) if at == now => Fate::DiesAfter,
            _ => Fate::Passes,
        }
    }
}

/// All, or the one that is asked for.
fn scenarios() -> impl Iterator<Item = Scenario> {
    let only = std::env::var("SERIN_SCENARIO").ok();
    Scenario::ALL.into_iter().filter(move |it| only.as_deref().is_none_or(|only| only == it.name()))
}

fn server() -> Arc<ApiServer> {
    let server = with_istio().expect("an API server with Istio's definitions");
    alone(&server);
    Arc::new(server)
}

#[test]
fn a_crash_at_any_write_ends_as_no_crash() {
    let server = server();
    for scenario in scenarios() {
        let begun = Instant::now();
        let (wanted, writes) = without_fault(&server, scenario);
        assert!(writes.len() >= scenario.writes_min(), "{writes:#?}");
        assert!(
            !scenario.decides() || writes[0].ends_with("/status"),
            "applied first: {writes:#?}"
        );

        let all = (0..writes.len()).flat_map(|at| [Crash::Before(at), Crash::After(at)]);
        let died = AtomicUsize::new(0);
        let failures = in_lanes(all.collect(), |index, crash| {
            let name = format!("{}-{index:03}", scenario.name());
            let outcome = lived(&server, scenario, &name, &wanted, move |asked| crash.fate(asked));
            died.fetch_add(usize::from(outcome.as_ref().is_ok_and(|it| *it)), Ordering::SeqCst);
            let at = match crash {
                Crash::Before(at) | Crash::After(at) => &writes[at],
            };
            outcome.err().map(|why| format!("{crash:?} ({at}): {why}"))
        });
        assert!(failures.is_empty(), "{scenario:?}: {}", failures.join("\n"));
        let (died, took) = (died.into_inner(), begun.elapsed().as_secs());
        let writes = writes.len();
        say::note(&format!("{scenario:?}: {writes} writes, {died} crashes, one end, {took} s"));
        // Which write comes when is not wholly determined, and the last may not come at all: a look more, while pods
        // come up, may write once more.
        assert!(died * 10 >= 2 * writes * 7, "only {died} of {} crashes have happened", 2 * writes);
    }
}

#[test]
fn requests_that_fail_at_random_delay_the_end_and_do_not_change_it() {
    let server = server();
    let seed = std::env::var("SERIN_SEED").ok().and_then(|it| it.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    say::note(&format!("SERIN_SEED={seed}"));
    for scenario in scenarios() {
        let (begun, faults) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let (wanted, _) = without_fault(&server, scenario);
        let failures = in_lanes((0..RANDOM_RUNS).collect(), |index, run| {
            let dice = Mutex::new(fastrand::Rng::with_seed(seed.wrapping_add(run as u64)));
            let faults = Arc::clone(&faults);
            let fate = move |asked: &Asked| {
                let fate = random(&mut dice.lock().expect("dice"), asked);
                faults.fetch_add(usize::from(fate != Fate::Passes), Ordering::SeqCst);
                fate
            };
            let name = format!("{}-random-{index:03}", scenario.name());
            lived(&server, scenario, &name, &wanted, fate).err()
        });
        assert!(failures.is_empty(), "SERIN_SEED={seed} {scenario:?}: {}", failures.join("\n"));
        let (faults, took) = (faults.load(Ordering::SeqCst), begun.elapsed().as_secs());
        say::note(&format!("{scenario:?}: {RANDOM_RUNS} runs, {faults} faults, one end, {took} s"));
        assert!(faults >= RANDOM_RUNS, "hardly a request has failed");
    }
}

fn random(dice: &mut fastrand::Rng, asked: &Asked) -> Fate {
    if asked.watch {
        let fates = [
            Fate::Ends(Duration::from_millis(dice.u64(50..1500))),
            Fate::Answered(410),
            Fate::LostBefore,
        ];
        if dice.bool() {
            return Fate::Passes;
        }
        return fates[dice.usize(..fates.len())];
    }
    if dice.f64() > ODDS {
        return Fate::Passes;
    }
    let fates = [409, 429, 500, 503].map(Fate::Answered);
    let late = Duration::from_millis(dice.u64(100..3000));
    let lost = [Fate::LostBefore, Fate::LostAfter, Fate::TimesOut(late)];
    let all: Vec<_> = fates.into_iter().chain(lost).collect();
    all[dice.usize(..all.len())]
}

/// The end, and the writes of the scenario's own part.
fn without_fault(server: &Arc<ApiServer>, scenario: Scenario) -> (Value, Vec<String>) {
    let name = format!("{}-none", scenario.name());
    let world = World::new(server, &name, scenario);
    let process = Process::new(&name, |_| Fate::Passes);
    let controller = world.controller(&process);
    until(&world, || scenario.has_begun(&world)).expect("it begins");
    thread::sleep(QUIET);
    process.arm();
    scenario.act(&world);
    until(&world, || scenario.is_over(&world)).expect("it ends");
    let quiet = Instant::now() + QUIET;
    while Instant::now() < quiet {
        run_pods(server, &name);
        thread::sleep(LOOKED_AT_EVERY);
    }
    let end = world.snapshot();
    drop(controller);
    world.clear();
    (end, process.lines())
}

/// Lives through a scenario with faults, and whenever the process ends starts another, without faults. Whether it
/// has ended.
fn lived(
    server: &Arc<ApiServer>,
    scenario: Scenario,
    name: &str,
    wanted: &Value,
    fate: impl Fn(&Asked) -> Fate + Send + Sync + 'static,
) -> Result<bool, String> {
    let world = World::new(server, name, scenario);
    let mut process = Process::new(name, fate);
    let mut controller = world.controller(&process);
    until(&world, || scenario.has_begun(&world))?;
    process.arm();
    scenario.act(&world);
    let mut died = false;
    let over = until(&world, || {
        if process.is_dead() {
            died = true;
            process = Process::new(name, |_| Fate::Passes);
            controller = world.controller(&process);
        }
        scenario.is_over(&world) && world.snapshot() == *wanted
    });
    let end = world.snapshot();
    over.map_err(|why| format!("{why}: {}", difference(&end, wanted)))?;
    drop(controller);
    world.clear();
    Ok(died)
}

fn until(world: &World, mut so: impl FnMut() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        run_pods(&world.server, &world.namespace);
        if so() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{}: waited {} s in vain", world.namespace, PATIENCE.as_secs()));
        }
        thread::sleep(LOOKED_AT_EVERY);
    }
}

#[test]
fn a_wish_that_comes_while_another_is_taken_off_is_heeded_too() {
    let server = server();
    let world = World::new(&server, "wishes", Scenario::Withdrawal);
    let at = path(&world.canary(Scenario::Withdrawal)).expect("a path");
    let wish = |word: &str| json!({ "metadata": { "annotations": { keys::INTENT: word } } });
    // Between the status that holds the first and the write that takes it off, its author changes their mind.
    let (taken_off, abort, to) = (format!("PATCH {at}"), wish("abort"), Arc::clone(&server));
    let said = AtomicUsize::new(0);
    let there = at.clone();
    let process = Process::new("wishes", move |asked: &Asked| {
        if asked.line == taken_off && said.fetch_add(1, Ordering::SeqCst) == 0 {
            to.merge(&there, &abort).expect("it is said");
        }
        Fate::Passes
    });
    let _controller = world.controller(&process);
    until(&world, || Scenario::Withdrawal.has_begun(&world)).expect("it begins");
    process.arm();
    server.merge(&at, &wish("pause")).expect("it is said");
    let status = || server.get(&at).unwrap_or_default()["status"].clone();
    until(&world, || status()["phase"] == "Failed").expect("it is aborted");
    assert_eq!(status()["serin"]["rollout"]["paused"], true, "the first was heeded as well");
}

/// Some at once, each with its number; what they have to say.
fn in_lanes<T: Send>(all: Vec<T>, act: impl Fn(usize, T) -> Option<String> + Sync) -> Vec<String> {
    let next = Mutex::new(all.into_iter().enumerate());
    let said = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let taken = next.lock().expect("no lane panics here").next();
                    let Some((index, one)) = taken else { break };
                    let outcome = act(index, one);
                    said.lock().expect("no lane panics here").extend(outcome);
                }
            });
        }
    });
    said.into_inner().expect("no lane panics here")
}
