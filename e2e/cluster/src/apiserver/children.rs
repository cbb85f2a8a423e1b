//! Child processes that die with their owner, however it ends.
//!
//! The system sends the parent-death signal when the *thread* that started a child ends, so one thread starts them,
//! waits, and kills them when it is told to.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, bail};

use crate::process::{self, Process};

pub(super) struct Children {
    logs: PathBuf,
    started: Vec<(&'static str, u32)>,
    /// Dropped to say that it is over.
    orders: Option<Sender<Order>>,
    keeper: Option<JoinHandle<()>>,
}

struct Order {
    name: &'static str,
    command: Command,
    done: Sender<Result<u32>>,
}

impl Children {
    /// None yet. Each will write a log of its name into that directory.
    pub(super) fn new(logs: &Path) -> Self {
        let (orders, received) = mpsc::channel::<Order>();
        let directory = logs.to_owned();
        let keeper = thread::spawn(move || {
            let mut children = Vec::new();
            for order in received {
                let child = spawn(&directory, order.name, &order.command);
                // An owner that no longer listens is gone, which ends the loop.
                let _ = order.done.send(child.map(|child| {
                    let pid = child.id();
                    children.push(child);
                    pid
                }));
            }
            kill(children);
        });
        let logs = logs.to_owned();
        Self { logs, started: Vec::new(), orders: Some(orders), keeper: Some(keeper) }
    }

    /// Starts one more.
    pub(super) fn start(&mut self, name: &'static str, command: Command) -> Result<()> {
        let (done, answer) = mpsc::channel();
        let orders = self.orders.as_ref().context("this keeper has ended")?;
        orders.send(Order { name, command, done }).ok().context("this keeper has ended")?;
        self.started.push((name, answer.recv()??));
        Ok(())
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.started.iter().map(|(_, pid)| *pid).collect()
    }

    /// An error with the end of its log if one of them has ended.
    pub(super) fn check(&self) -> Result<()> {
        for (name, pid) in &self.started {
            let alive = i32::try_from(*pid).is_ok_and(|pid| Process::of(pid).is_some());
            if !alive {
                bail!("{name} has ended; {}", process::tail(&self.logs.join(name)));
            }
        }
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn spawn(logs: &Path, name: &str, command: &Command) -> Result<Child> {
    let log = File::create(logs.join(name))?;
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{name} could not be started by setpriv, of util-linux"))
}

/// The last first, so that none complains of one that it needs.
fn kill(children: Vec<Child>) {
    for mut child in children.into_iter().rev() {
        let _ = child.kill();
        let _ = child.wait();
    }
}
