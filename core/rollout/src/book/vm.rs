//! One VM: when it was heard, what it shows, what it counted.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serin_route::{GenerationReport, Report};

use crate::clock::since;

/// Generations whose first showing is remembered.
const SHOWN_MAX: usize = 16;

/// What tells VMs apart. An Envoy in two scopes runs both filters in one VM, so the scope belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct VmKey {
    pub(super) scope: String,
    pub(super) proxy: String,
    boot: String,
}

/// A VM's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Vm {
    sequence: Option<u64>,
    /// When it was heard first.
    pub(super) began: Option<Timestamp>,
    heard: Option<Timestamp>,
    /// The generation it shows; none while its table lacks the run.
    generation: Option<u64>,
    problem: Option<String>,
    /// Generations with the time of their first showing, rising.
    shown: Vec<(u64, Timestamp)>,
    /// Its newest counts of open generations.
    pub(super) counts: BTreeMap<u64, GenerationReport>,
}

/// A VM as status shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard<'b> {
    /// The scope whose table it has.
    pub scope: &'b str,
    /// The proxy.
    pub proxy: &'b str,
    /// The VM's boot id.
    pub boot: &'b str,
    /// When it was heard last.
    pub at: Timestamp,
    /// The run's generation that it shows; none while its table lacks the run.
    pub generation: Option<u64>,
    /// Why it refused its newest table.
    pub problem: Option<&'b str>,
}

impl VmKey {
    pub(super) fn of(report: &Report) -> Self {
        Self { scope: report.scope.clone(), proxy: report.proxy.clone(), boot: report.boot.clone() }
    }
}

impl Vm {
    /// Takes a report's head; false if a newer one is known.
    pub(super) fn hear(&mut self, report: &Report, shown: Option<u64>, at: Timestamp) -> bool {
        if self.sequence.is_some_and(|known| report.sequence <= known) {
            return false;
        }
        self.sequence = Some(report.sequence);
        self.began = self.began.or(Some(at));
        self.heard = Some(at);
        self.generation = shown;
        self.problem.clone_from(&report.problem);
        if let Some(generation) = shown
            && self.shown.last().is_none_or(|(latest, _)| *latest < generation)
        {
            self.shown.push((generation, at));
            let surplus = self.shown.len().saturating_sub(SHOWN_MAX);
            self.shown.drain(..surplus);
        }
        true
    }

    pub(super) fn is_recent(&self, now: Timestamp, recent: Duration) -> bool {
        self.heard.is_some_and(|heard| since(heard, now) <= recent)
    }

    pub(super) fn shows(&self, generation: u64) -> bool {
        self.generation.is_some_and(|shown| shown >= generation)
    }

    pub(super) fn first_shown(&self, generation: u64) -> Option<Timestamp> {
        self.shown.iter().find(|(shown, _)| *shown >= generation).map(|(_, at)| *at)
    }

    pub(super) fn heard<'b>(&'b self, key: &'b VmKey) -> Heard<'b> {
        Heard {
            scope: &key.scope,
            proxy: &key.proxy,
            boot: &key.boot,
            at: self.heard.unwrap_or_default(),
            generation: self.generation,
            problem: self.problem.as_deref(),
        }
    }
}
