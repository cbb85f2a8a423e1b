//! Progress for the person who waits, on standard error; standard output is left to results.
//!
//! Nothing takes long in silence: when no line has come for a while, the part that goes on is said again, and for how
//! long it has.

use std::{
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

/// The longest silence while something goes on.
const SILENCE: Duration = Duration::from_secs(5);
/// From this age on, a part that builds for minutes is told less often.
const OLD: Duration = Duration::from_secs(30);
const SILENCE_WHEN_OLD: Duration = Duration::from_secs(15);

/// What goes on now, the outermost first, and when the last line came.
struct Going {
    works: Vec<Work>,
    next: u64,
    last_line: Option<Instant>,
}

struct Work {
    id: u64,
    what: String,
    began: Instant,
}

static GOING: Mutex<Going> = Mutex::new(Going { works: Vec::new(), next: 0, last_line: None });
static WATCH: Once = Once::new();

/// One line.
#[expect(clippy::print_stderr, reason = "the one place where the rig talks to people")]
pub fn note(line: &str) {
    going().last_line = Some(Instant::now());
    eprintln!("cluster: {line}");
}

/// Says that a long part begins, and how long it took or that it failed.
pub fn part<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    note(&format!("{name} …"));
    let began = Instant::now();
    let mut waiting = Waiting::begin(name);
    let outcome = work();
    waiting.end();
    let seconds = began.elapsed().as_secs_f64();
    match &outcome {
        Ok(_) => note(&format!("{name}: {seconds:.1} s")),
        Err(_) => note(&format!("{name}: failed after {seconds:.1} s")),
    }
    outcome
}

/// Something that is waited for, said from time to time until it is dropped.
pub(crate) struct Waiting {
    id: u64,
}

impl Waiting {
    /// Says nothing yet: most waits are short.
    pub(crate) fn begin(what: &str) -> Self {
        WATCH.call_once(|| drop(thread::spawn(watch)));
        let mut going = going();
        let id = going.next;
        going.next += 1;
        going.works.push(Work { id, what: what.to_owned(), began: Instant::now() });
        Self { id }
    }

    /// What is waited for by now.
    pub(crate) fn is_for(&self, what: String) {
        if let Some(work) = going().works.iter_mut().find(|it| it.id == self.id) {
            work.what = what;
        }
    }

    fn end(&mut self) {
        going().works.retain(|it| it.id != self.id);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends with the program.
fn watch() {
    loop {
        thread::sleep(Duration::from_millis(250));
        let line = going().due(Instant::now());
        if let Some(line) = line {
            note(&line);
        }
    }
}

impl Going {
    /// The innermost work, when it has been quiet for too long.
    fn due(&self, now: Instant) -> Option<String> {
        let work = self.works.last()?;
        let since = self.last_line.unwrap_or(work.began).max(work.began);
        let age = now.duration_since(work.began);
        let allowed = if age < OLD { SILENCE } else { SILENCE_WHEN_OLD };
        // A quarter of a second early rather than late.
        let quiet = now.duration_since(since) + Duration::from_millis(250);
        (quiet >= allowed).then(|| format!("{} … {:.0} s so far", work.what, age.as_secs_f64()))
    }
}

fn going() -> MutexGuard<'static, Going> {
    GOING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_is_broken_and_by_the_innermost_work() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let work = |id, what: &str| Work { id, what: what.to_owned(), began };
        let works = vec![work(0, "up"), work(1, "node")];
        let mut going = Going { works, next: 2, last_line: Some(began) };
        assert_eq!(going.due(at(3)), None);
        assert_eq!(going.due(at(5)).as_deref(), Some("node … 5 s so far"));
        going.last_line = Some(at(5));
        assert_eq!(going.due(at(8)), None, "a line came three seconds ago");
        going.last_line = Some(at(40));
        assert_eq!(going.due(at(50)), None, "what takes long is told less often");
        assert!(going.due(at(55)).is_some());
        going.works.clear();
        assert_eq!(going.due(at(99)), None);
    }
}
