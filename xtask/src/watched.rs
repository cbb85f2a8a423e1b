//! Commands whose end a signal must not skip, and whose output is read: a test says `LEFT OUT: what, and why`, and that
//! is told again when all is over.
//!
//! Each runs in a process group of its own. A signal to this program goes to that group, this program goes on, and what
//! comes after the command, such as taking a cluster down, still happens.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::run::{say, words};

/// What begins a line, or ends libtest's own beginning of it.
const LEFT_OUT: &str = "LEFT OUT: ";

/// The group that runs now.
static GROUP: Mutex<Option<Pid>> = Mutex::new(None);
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Runs it to its end with its output passed through; returns what it said was left out. Nothing is run after a signal.
pub(crate) fn run(command: &mut Command) -> Result<Vec<String>> {
    if IS_INTERRUPTED.load(Ordering::SeqCst) {
        bail!("interrupted before `{}`", words(command));
    }
    run_anyway(command)
}

/// The same after a signal too, for what tidies up.
pub(crate) fn run_anyway(command: &mut Command) -> Result<Vec<String>> {
    static PASS_ON: OnceLock<()> = OnceLock::new();
    PASS_ON.get_or_init(pass_signals_on);
    let words = words(command);
    say(&words);
    let began = Instant::now();
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("`{words}` could not be started"))?;
    set_group(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let left_out = thread::scope(|scope| {
        let errors = scope.spawn(|| errors.map(|it| pass_through(it, io::stderr())));
        let left_out = output.map(|it| pass_through(it, io::stdout()));
        let errors = errors.join().map_err(|_| anyhow!("reading `{words}` panicked"))?;
        anyhow::Ok([left_out, errors].into_iter().flatten().flatten().collect())
    });
    let status = child.wait();
    set_group(None);
    let status = status?;
    if !status.success() {
        bail!("`{words}` ended with {status}");
    }
    say(&format!("done in {:.1} s", began.elapsed().as_secs_f64()));
    left_out
}

fn set_group(group: Option<Pid>) {
    *GROUP.lock().unwrap_or_else(PoisonError::into_inner) = group;
}

/// A second signal comes through the same way, so that whoever is in a hurry ends what tidies up too.
fn pass_signals_on() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    thread::spawn(move || {
        for _ in signals.forever() {
            IS_INTERRUPTED.store(true, Ordering::SeqCst);
            say("interrupted; ending what runs, then tidying up");
            if let Some(group) = *GROUP.lock().unwrap_or_else(PoisonError::into_inner) {
                let _ = kill_process_group(group, Signal::TERM);
            }
        }
    });
}

/// Lines as they come, and those of them that say what was left out.
fn pass_through(from: impl Read, mut to: impl Write) -> Vec<String> {
    let mut left_out = Vec::new();
    for line in BufReader::new(from).split(b'\n').map_while(io::Result::ok) {
        left_out.extend(missed(&String::from_utf8_lossy(&line)));
        // A reader that went away is no reason to stop the tests.
        let _ = to.write_all(&line).and_then(|()| to.write_all(b"\n"));
    }
    left_out
}

fn missed(line: &str) -> Option<String> {
    line.split_once(LEFT_OUT).map(|(_, what)| what.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_read_wherever_the_line_begins() {
        let said =
            b"running 2 tests\ntest prometheus ... LEFT OUT: Prometheus, for want of one\nok\n";
        let mut passed = Vec::new();
        assert_eq!(pass_through(&said[..], &mut passed), ["Prometheus, for want of one"]);
        assert_eq!(passed, said);
    }

    #[test]
    fn a_command_that_fails_is_an_error_and_one_that_works_tells() {
        let shell = |script: &str| run(Command::new("sh").args(["-c", script]));
        assert_eq!(shell("echo 'LEFT OUT: a' >&2").expect("it works"), ["a"]);
        assert!(shell("exit 3").is_err());
    }
}
