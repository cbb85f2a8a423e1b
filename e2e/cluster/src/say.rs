//! Progress for the person who waits, on standard error; standard output is left to results.

use std::time::Instant;

use anyhow::Result;

/// One line.
#[expect(clippy::print_stderr, reason = "the one place where the rig talks to people")]
pub fn note(line: &str) {
    eprintln!("cluster: {line}");
}

/// Says that a long part begins, and how long it took or that it failed.
pub fn part<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    note(&format!("{name} …"));
    let began = Instant::now();
    let outcome = work();
    let seconds = began.elapsed().as_secs_f64();
    match &outcome {
        Ok(_) => note(&format!("{name}: {seconds:.1} s")),
        Err(_) => note(&format!("{name}: failed after {seconds:.1} s")),
    }
    outcome
}
