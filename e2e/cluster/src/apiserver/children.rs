//! Child processes that die with their owner, however it ends.
//!
//! The system sends the parent-death signal when the *thread* that started a child ends, so one thread starts them, waits,
//! and kills them when it is told to.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::process::{self, Process};

pub(super) struct Children {
    logs: PathBuf,
    started: Vec<(&'static str, u32)>,
    pids: Vec<u32>,
    /// Dropped to say that it is over.
    over: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Children {
    /// Starts them all; each writes a log of its name into that directory.
    pub(super) fn start(logs: &Path, commands: Vec<(&'static str, Command)>) -> Result<Self> {
        let (over, told) = mpsc::channel::<()>();
        let (tell, started) = mpsc::channel();
        let directory = logs.to_owned();
        let keeper = thread::spawn(move || {
            let mut children = Vec::new();
            for (name, command) in commands {
                let child = spawn(&directory, name, &command);
                let pid = child.as_ref().map(Child::id).map_err(|error| anyhow!("{error:#}"));
                let _ = tell.send(pid.map(|pid| (name, pid)));
                children.extend(child);
            }
            drop(tell);
            // An error means that the owner is gone, which is what it waits for.
            let _ = told.recv();
            kill(children);
        });
        // Made before any error is returned, so that what did start is killed.
        let mut all = Self {
            logs: logs.to_owned(),
            started: Vec::new(),
            pids: Vec::new(),
            over: Some(over),
            keeper: Some(keeper),
        };
        for child in started {
            let child = child?;
            all.started.push(child);
            all.pids.push(child.1);
        }
        Ok(all)
    }

    pub(super) fn pids(&self) -> &[u32] {
        &self.pids
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
        drop(self.over.take());
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
