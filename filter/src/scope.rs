//! One scope in one VM: the table in force, the counters, and the reports about them.

use std::rc::Rc;

use serin_route::{Delta, Problems, Router, Tally};

use crate::random::Random;
use crate::reporter::Reporter;

/// Bytes of a problem in a report.
const PROBLEM_BYTES_MAX: usize = 1_024;

/// A scope. Streams and root contexts share it.
#[derive(Debug)]
pub(crate) struct Scope {
    /// As the table names it; empty before the first good one.
    pub(crate) name: String,
    /// Envoy's name of the plugin that last configured it.
    pub(crate) plugin: Vec<u8>,
    /// The last good table.
    pub(crate) router: Rc<Router>,
    pub(crate) tally: Tally,
    pub(crate) random: Random,
    pub(crate) reporter: Reporter,
    /// Why a newer table was refused.
    pub(crate) problem: Option<String>,
    /// The root contexts that were configured with it and still live, the newest last.
    roots: Vec<u32>,
}

impl Scope {
    pub(crate) fn new(name: String, random: Random) -> Self {
        Self {
            name,
            plugin: Vec::new(),
            router: Rc::default(),
            tally: Tally::default(),
            random,
            reporter: Reporter::default(),
            problem: None,
            roots: Vec::new(),
        }
    }

    /// Puts a good table in force.
    pub(crate) fn load(&mut self, router: Router) {
        self.tally.load(&router.table().rollouts);
        self.router = Rc::new(router);
        self.problem = None;
        self.reporter.restart();
    }

    /// Notes a refused table; the last good one stays in force.
    pub(crate) fn refuse(&mut self, problems: &Problems) {
        let mut problem = problems.to_string();
        let end = (0..=PROBLEM_BYTES_MAX).rev().find(|at| problem.is_char_boundary(*at));
        problem.truncate(end.unwrap_or(0));
        self.problem = Some(problem);
        self.reporter.restart();
    }

    /// Envoy's counters, told what happened since the last time.
    pub(crate) fn publish(&mut self, tell: impl FnMut(Delta<'_>)) {
        self.tally.publish(tell);
    }

    /// Makes a root context the one that reports.
    pub(crate) fn lead(&mut self, root: u32) {
        self.leave(root);
        self.roots.push(root);
    }

    /// Forgets a root context. If it was the one that reports, the one before it does from now on.
    pub(crate) fn leave(&mut self, root: u32) {
        if self.is_led_by(root) {
            self.reporter.restart();
        }
        self.reporter.cancel(root);
        self.roots.retain(|it| *it != root);
    }

    /// Whether no root context is left.
    pub(crate) fn is_left(&self) -> bool {
        self.roots.is_empty()
    }

    /// Whether a root context is the one that reports.
    pub(crate) fn is_led_by(&self, root: u32) -> bool {
        self.roots.last() == Some(&root)
    }

    /// Whether anything is left to watch or to tell.
    pub(crate) fn is_busy(&self) -> bool {
        !self.router.table().rollouts.is_empty() || !self.tally.is_settled()
    }
}
