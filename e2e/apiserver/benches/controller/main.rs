//! What the controller costs where nothing but an API server is needed: memory and API calls of idle Canaries, and CPU
//! for each report that it receives. The controller is a process of its own, built as it is shipped: whoever runs this
//! says where (`SERIN_CONTROLLER`). `cargo xtask bench controller` does.
//!
//! ```text
//! controller idle 1 200 2000      so many Canaries, one after the other
//! controller reports 20000        so many reports over each protocol
//! ```

mod idle;
mod interruption;
mod process;
mod reports;
mod vm;

use std::{
    collections::BTreeSet,
    env,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use serin_cluster::{apiserver::ApiServer, say};
use serin_e2e::cpu::Noise;
use serin_e2e_apiserver::scripted;

/// Between two looks at something that takes seconds.
const LOOK: Duration = Duration::from_millis(500);

/// The controller's pod.
const POD: &str = "bench";

fn main() -> Result<()> {
    // Cargo adds a word of its own.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    ensure!(
        env::var_os("SERIN_CONTROLLER").is_some(),
        "SERIN_CONTROLLER names no controller; run this by `cargo xtask bench controller`"
    );
    interruption::await_signals()?;
    let noise = Noise::start()?;
    let numbers: Vec<usize> = words
        .iter()
        .skip(1)
        .map(|word| word.parse().with_context(|| word.clone()))
        .collect::<Result<_>>()?;
    let text = match (words.first().map(String::as_str), &numbers[..]) {
        (Some("idle"), counts) if !counts.is_empty() => idle::measure(counts)?,
        (Some("reports"), [count]) => reports::measure(*count)?,
        _ => bail!("say `idle CANARIES…` or `reports COUNT`"),
    };
    publish(&text, &noise)
}

#[expect(clippy::print_stdout, reason = "the figures are the result")]
fn publish(text: &str, noise: &Noise) -> Result<()> {
    let seen = noise.end()?;
    println!("{text}");
    println!(
        "{} CPUs, load average {:.1}, {:.0} % idle, {:.0} s\n",
        seen.cpus,
        seen.load,
        seen.idle * 100.0,
        seen.seconds
    );
    Ok(())
}

/// An API server where only the controller acts: the pods of all Deployments do as they are told.
struct Stage {
    server: Arc<ApiServer>,
    namespaces: Arc<Mutex<BTreeSet<String>>>,
    stop: Option<mpsc::Sender<()>>,
    pods: Option<thread::JoinHandle<()>>,
}

impl Stage {
    fn set() -> Result<Self> {
        let server = Arc::new(serin_e2e_apiserver::with_istio()?);
        // Not before its namespace has a service account, which is the controller manager's work.
        let is_made = || server.post("/api/v1/namespaces/default/pods", &pod()).is_ok();
        serin_e2e_apiserver::eventually("the controller's pod to be made", is_made)?;
        scripted::alone(&server);
        let namespaces = Arc::<Mutex<BTreeSet<String>>>::default();
        let (stop, stopped) = mpsc::channel();
        let (of, within) = (Arc::clone(&server), Arc::clone(&namespaces));
        let pods = thread::spawn(move || {
            while stopped.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
                let all = within.lock().unwrap_or_else(PoisonError::into_inner).clone();
                for namespace in &all {
                    scripted::run_pods(&of, namespace);
                }
            }
        });
        Ok(Self { server, namespaces, stop: Some(stop), pods: Some(pods) })
    }

    /// Makes a namespace if there is none of this name.
    fn namespace(&self, name: &str) -> Result<()> {
        let mut all = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if all.insert(name.to_owned()) {
            serin_e2e_apiserver::namespace(&self.server, name)?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.pods.take().map(thread::JoinHandle::join);
    }
}

/// The one that the controller thinks it is in: it labels it when it leads, and tries again where there is none.
fn pod() -> Value {
    let containers = json!([{ "name": "controller", "image": "registry.example/controller:1" }]);
    json!({ "metadata": { "name": POD }, "spec": { "containers": containers } })
}

/// Waits until it is so, and tells how far it is.
fn until(what: &str, within: Duration, mut left: impl FnMut() -> Option<String>) -> Result<()> {
    let began = std::time::Instant::now();
    let mut told = std::time::Instant::now();
    while let Some(state) = left() {
        interruption::check()?;
        if began.elapsed() > within {
            bail!("waited {within:?} in vain: {what}: {state}");
        }
        if told.elapsed() > Duration::from_secs(15) {
            say::note(&format!("{what}: {state} after {:.0} s", began.elapsed().as_secs_f64()));
            told = std::time::Instant::now();
        }
        thread::sleep(LOOK);
    }
    Ok(())
}
