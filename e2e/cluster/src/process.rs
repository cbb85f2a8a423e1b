//! Processes that outlive the command that started them: each recorded with its id and the moment it began, so that a
//! stranger who got the same id later is never taken for ours.

use std::{
    fs::{self, OpenOptions},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::place::{MARK, Place};

/// Longer than the kernel takes to end one.
const DYING_WITHIN: Duration = Duration::from_secs(10);

/// A process, told apart from every other that ever had its id since the machine booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// In clock ticks since boot.
    began: u64,
}

impl Process {
    /// The living process of that id; a zombie no longer lives.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse(&stat).map(|began| Self { pid, began })
    }

    pub(crate) fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// SIGKILL; one that is gone already is no error.
    pub(crate) fn kill(self) {
        self.send(Signal::KILL);
    }

    /// The same, and waits until it is gone.
    pub(crate) fn end(self) {
        self.kill();
        let deadline = Instant::now() + DYING_WITHIN;
        while self.lives() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGHUP, as when a terminal is closed.
    pub(crate) fn hang_up(self) {
        self.send(Signal::HUP);
    }

    /// For people: its name and its id.
    pub(crate) fn called(self) -> String {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        format!("{}, process {}", name.trim(), self.pid)
    }

    fn send(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.lives()) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The moment of its beginning, from `/proc/PID/stat`; none for a zombie.
fn parse(stat: &str) -> Option<u64> {
    // The name is in parentheses and may hold any character, parentheses too.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let dead = ["Z", "X"].contains(fields.first()?);
    if dead { None } else { fields.get(19)?.parse().ok() }
}

/// Starts a part of the cluster with its output in its log, deaf to the terminal's Ctrl-C, and records it.
pub(crate) fn start(place: &Place, part: &str, command: &mut Command) -> Result<Process> {
    use std::os::unix::process::CommandExt as _;
    let path = place.log(part);
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    let child = command
        .env(MARK, place.name())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("{part} could not be started"))?;
    let pid = i32::try_from(child.id()).context("a process id that is none")?;
    let process = Process::of(pid)
        .with_context(|| format!("{part} ended at once; see {}", path.display()))?;
    let record = place.records().join(part);
    fs::write(&record, format!("{} {}\n", process.pid, process.began))
        .with_context(|| format!("{} cannot be written", record.display()))?;
    Ok(process)
}

/// The living process that was recorded for a part.
pub(crate) fn recorded(place: &Place, part: &str) -> Option<Process> {
    read(&place.records().join(part))
}

/// Every living process that is recorded.
pub(crate) fn all_recorded(place: &Place) -> Vec<Process> {
    let entries = fs::read_dir(place.records()).into_iter().flatten().flatten();
    entries.filter_map(|entry| read(&entry.path())).collect()
}

fn read(record: &Path) -> Option<Process> {
    let text = fs::read_to_string(record).ok()?;
    let (pid, began) = text.trim().split_once(' ')?;
    let process = Process { pid: pid.parse().ok()?, began: began.parse().ok()? };
    process.lives().then_some(process)
}

/// Every living process of the machine.
pub(crate) fn everybody() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Process::of(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The end of a part's log, for the reader of an error.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
    format!("the end of {}:\n{}", log.display(), end.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_read_past_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(parse(&format!("42 (a) b) {rest}")), Some(4711));
        assert_eq!(parse(&format!("42 (gone) {}", rest.replace('S', "Z"))), None);
    }

    #[test]
    fn a_recycled_id_is_somebody_else() {
        let me = Process::of(i32::try_from(std::process::id()).expect("a pid")).expect("alive");
        assert!(me.lives());
        assert!(!Process { began: me.began + 1, ..me }.lives());
    }
}
