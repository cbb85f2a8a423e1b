//! Other programs that are run to their end, quietly: what they said is told when they fail.
//!
//! Each gets a process group of its own, so that all that it started ends with this program when a person or a
//! supervisor ends it: a `go build` leaves no compilers behind.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Output, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
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

use crate::say;

/// The process groups that run now.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// How long they may take to end by themselves; go removes its work directory, for one.
const ENDING_WITHIN: Duration = Duration::from_secs(2);

/// Runs it and returns what it printed, without spaces around it.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let words = words(command);
    let output = run(command).with_context(|| format!("`{words}` could not be started"))?;
    if !output.status.success() {
        bail!("`{words}` ended with {}: {}", output.status, told(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// From now on, a signal that ends this program ends what it runs first. `advice` is the last line said.
pub fn end_with_signals(advice: String) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            IS_ENDING.store(true, Ordering::SeqCst);
            end_all();
            say::note(&advice);
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

fn run(command: &mut Command) -> std::io::Result<Output> {
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Held while it starts: whoever ends all knows of it.
    let (child, group) = {
        let mut running = running();
        let child = command.spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        running.extend(group);
        (child, group)
    };
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
}
