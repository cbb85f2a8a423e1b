//! CPU time as the kernel accounts for it, and what else went on.

use std::time::Instant;

use anyhow::{Context, Result};

/// A process's CPU time.
pub struct Cpu(u32);

/// The machine during the run.
pub struct Noise {
    began: Instant,
    before: Vec<u64>,
}

/// What the machine did apart from us.
pub struct Seen {
    /// Seconds of the run.
    pub seconds: f64,
    /// Of all CPU time, taken by other guests of the host.
    pub stolen: f64,
    /// Of all CPU time, idle.
    pub idle: f64,
    /// The load average of the last minute.
    pub load: f64,
    /// CPUs that this process may use.
    pub cpus: usize,
}

impl Cpu {
    /// That of a process.
    pub fn of(process: u32) -> Self {
        Self(process)
    }

    /// Nanoseconds that all its threads have run, in user and kernel mode: what utime + stime say, but not in ticks.
    pub fn nanoseconds(&self) -> Result<u64> {
        let mut sum = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.0))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let ran = text.split(' ').next().context("no schedstat")?;
            sum += ran.parse::<u64>()?;
        }
        Ok(sum)
    }
}

impl Noise {
    /// From now on.
    pub fn start() -> Result<Self> {
        Ok(Self { began: Instant::now(), before: ticks()? })
    }

    /// Until now.
    pub fn end(&self) -> Result<Seen> {
        let after = ticks()?;
        let spent: Vec<u64> = after.iter().zip(&self.before).map(|(a, b)| a - b).collect();
        // user nice system idle iowait irq softirq steal; what follows is part of the first two.
        let all: u64 = spent.iter().take(8).sum();
        let share = |index: usize| spent.get(index).copied().unwrap_or(0) as f64 / all as f64;
        let load = std::fs::read_to_string("/proc/loadavg")?;
        Ok(Seen {
            seconds: self.began.elapsed().as_secs_f64(),
            stolen: share(7),
            idle: share(3),
            load: load.split(' ').next().context("no load average")?.parse()?,
            cpus: std::thread::available_parallelism()?.get(),
        })
    }
}

fn ticks() -> Result<Vec<u64>> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("no CPU in /proc/stat")?;
    line.split_whitespace().skip(1).map(|number| Ok(number.parse()?)).collect()
}
