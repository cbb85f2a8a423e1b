//! One scope in one VM: the table in force, the counters, and the reports about them.

use std::rc::Rc;

use serin_route::{Delta, Problems, Router, Side, Tally};

use crate::loaded::{Configured, Loaded};
use crate::random::Random;
use crate::reporter::Reporter;
use crate::succession::Succession;

/// Bytes of a problem in a report.
const PROBLEM_BYTES_MAX: usize = 1_024;

/// A scope. Streams and root contexts share it.
#[derive(Debug)]
pub(crate) struct Scope {
    /// As the table names it; empty before the first good one.
    pub(crate) name: String,
    /// Where the plugin stands: the two sides of one scope count apart.
    pub(crate) side: Side,
    /// Envoy's name of the plugin that last configured it.
    pub(crate) plugin: Vec<u8>,
    /// The last good table.
    pub(crate) loaded: Rc<Loaded>,
    pub(crate) tally: Tally,
    pub(crate) random: Random,
    pub(crate) reporter: Reporter,
    /// Why a newer table was refused.
    pub(crate) problem: Option<Rc<str>>,
    succession: Succession,
}

impl Scope {
    pub(crate) fn new(name: String, side: Side, random: Random) -> Self {
        Self {
            name,
            side,
            plugin: Vec::new(),
            loaded: Rc::default(),
            tally: Tally::default(),
            random,
            reporter: Reporter::default(),
            problem: None,
            succession: Succession::default(),
        }
    }

    /// What a configuration came to. Several listeners hand over the same one, each to a root context of its own; one
    /// that is in force already is the same thing to us.
    pub(crate) fn configured(&self, text: Vec<u8>, read: Result<Router, Problems>) -> Configured {
        match read {
            Ok(_) if self.loaded.text == text => Configured::Table(self.loaded.clone()),
            Ok(router) => Configured::Table(Rc::new(Loaded::of(text, router))),
            Err(problems) => {
                let problem = bounded(&problems);
                let same = self.problem.clone().filter(|it| **it == *problem);
                Configured::Refused(same.unwrap_or_else(|| problem.into()))
            }
        }
    }

    /// Makes a root context the one that reports, and its configuration the one in force.
    pub(crate) fn lead(&mut self, root: u32, configured: Configured) {
        self.put_in_force(&configured);
        self.reporter.cancel(root);
        self.succession.lead(root, configured);
    }

    /// A stream was given to a root context: whether that one is to lead again.
    pub(crate) fn is_back(&mut self, configured: &Configured) -> bool {
        let in_force = self.is_in_force(configured);
        self.succession.is_back(in_force)
    }

    /// Forgets a root context. If it was the one that reports, the one before it does from now on, with its own
    /// configuration; that one, if so.
    pub(crate) fn leave(&mut self, root: u32) -> Option<u32> {
        let led = self.is_led_by(root);
        self.reporter.cancel(root);
        self.succession.leave(root);
        let (heir, configured) = self.succession.leader().filter(|_| led)?;
        let configured = configured.clone();
        self.put_in_force(&configured);
        Some(heir)
    }

    /// Whether no root context is left.
    pub(crate) fn is_left(&self) -> bool {
        self.succession.leader().is_none()
    }

    /// Whether a root context is the one that reports.
    pub(crate) fn is_led_by(&self, root: u32) -> bool {
        self.succession.leader().is_some_and(|(leader, _)| leader == root)
    }

    /// Whether anything is left to watch or to tell.
    pub(crate) fn is_busy(&self) -> bool {
        !self.loaded.router.table().rollouts.is_empty() || !self.tally.is_settled()
    }

    /// Envoy's counters, told what happened since the last time.
    pub(crate) fn publish(&mut self, tell: impl FnMut(Delta<'_>)) {
        self.tally.publish(tell);
    }

    /// A good table replaces the last one; of a refused one the problem is noted, and the last good one stays.
    fn put_in_force(&mut self, configured: &Configured) {
        match configured {
            Configured::Table(loaded) => {
                self.tally.load(&loaded.router.table().rollouts);
                self.loaded = loaded.clone();
                self.problem = None;
            }
            Configured::Refused(problem) => self.problem = Some(problem.clone()),
        }
        self.reporter.restart();
    }

    fn is_in_force(&self, configured: &Configured) -> bool {
        match (configured, &self.problem) {
            (Configured::Table(loaded), None) => Rc::ptr_eq(loaded, &self.loaded),
            (Configured::Refused(problem), Some(known)) => Rc::ptr_eq(problem, known),
            (Configured::Table(_), Some(_)) | (Configured::Refused(_), None) => false,
        }
    }
}

fn bounded(problems: &Problems) -> String {
    let mut problem = problems.to_string();
    let end = (0..=PROBLEM_BYTES_MAX).rev().find(|at| problem.is_char_boundary(*at));
    problem.truncate(end.unwrap_or(0));
    problem
}
