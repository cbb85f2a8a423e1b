//! Other programs that are run to their end, quietly: what they said is told when they fail.
//!
//! Each gets a process group of its own, so that all that it started ends with this program when a person or a
//! supervisor ends it: a `go build` leaves no compilers behind. When this program is killed, they carry a mark by which
//! another one finds them.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Command, Output, Stdio},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::place::{Place, TOOL_MARK};

/// The process groups that run now.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// The cluster on whose behalf they run, if it is one's.
static MARK: OnceLock<String> = OnceLock::new();

/// How long they may take to end by themselves; go removes its work directory, for one.
const ENDING_WITHIN: Duration = Duration::from_secs(2);

/// Runs it and returns what it printed, without spaces around it.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    fed(command, "")
}

/// The same for one that reads: all of it before it says much, or neither side would go on.
pub(crate) fn fed(command: &mut Command, input: &str) -> Result<String> {
    let words = words(command);
    let output = run(command, input).with_context(|| format!("`{words}` could not be started"))?;
    if !output.status.success() {
        bail!("`{words}` ended with {}: {}", output.status, told(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// From now on, what is run carries that cluster's mark in its environment.
pub(crate) fn mark(place: &Place) {
    MARK.get_or_init(|| place.name().to_owned());
}

/// From now on, a signal that ends this program ends what it runs first, and then does this.
pub fn end_with_signals(at_last: impl FnOnce() + Send + 'static) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            IS_ENDING.store(true, Ordering::SeqCst);
            end_all();
            at_last();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

fn run(command: &mut Command, input: &str) -> std::io::Result<Output> {
    if let Some(name) = MARK.get() {
        command.env(TOOL_MARK, name);
    }
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.process_group(0).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Held while it starts: whoever ends all knows of it.
    let (mut child, group) = {
        let mut running = running();
        let child = command.spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        running.extend(group);
        (child, group)
    };
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends without reading says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output();
    running().retain(|it| Some(*it) != group);
    // It was ended, not failed: the last word is the signal's.
    while IS_ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
    output
}

/// Asks all groups to end, and ends those that do not. Nothing is started any more.
fn end_all() {
    let running = running();
    for group in running.iter() {
        let _ = kill_process_group(*group, Signal::TERM);
    }
    let steps = 40;
    for _ in 0..steps {
        let alive = |it: &&Pid| rustix::process::test_kill_process_group(**it).is_ok();
        if running.iter().find(alive).is_none() {
            return;
        }
        thread::sleep(ENDING_WITHIN / steps);
    }
    for group in running.iter() {
        let _ = kill_process_group(*group, Signal::KILL);
    }
}

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn words(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|it| it.to_string_lossy().into_owned());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// What it said of its failure; else the end of what it said. Go's progress is neither.
fn told(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    let errors = error.lines().filter(|line| !line.starts_with("go: downloading "));
    let error = errors.collect::<Vec<_>>().join("\n").trim().to_owned();
    if !error.is_empty() {
        return error;
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.trim().lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_what_was_said_and_no_progress() {
        let script = "echo 'go: downloading a v1' >&2; echo 'no such module' >&2; exit 3";
        let error = output(Command::new("/bin/sh").args(["-c", script])).expect_err("exit 3");
        let text = format!("{error:#}");
        assert!(text.ends_with("ended with exit status: 3: no such module"), "{text}");
        assert!(text.starts_with("`sh -c"), "{text}");
    }

    #[test]
    fn what_is_printed_comes_back_without_its_end_of_line() {
        let said = output(Command::new("sh").args(["-c", "echo ' word '"])).expect("it runs");
        assert_eq!(said, "word");
    }

    #[test]
    fn what_is_run_for_a_cluster_says_so_in_its_environment() {
        mark(&Place::new("marked").expect("a name"));
        let said = output(Command::new("sh").args(["-c", &format!("echo ${TOOL_MARK}")]));
        assert_eq!(said.expect("it runs"), "marked");
    }

    #[test]
    fn what_it_is_fed_it_reads_to_its_end() {
        let long = "a line\n".repeat(100_000);
        let said = fed(Command::new("wc").arg("-c"), &long).expect("it runs");
        assert_eq!(said, long.len().to_string());
        fed(&mut Command::new("true"), &long).expect("one that reads nothing is no failure");
    }
}
