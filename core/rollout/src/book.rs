//! The newest report of each VM, and their sum.
//!
//! Reports are cumulative, so the newest of a VM replaces all before it and a lost one costs only time. What is kept is
//! bounded; whatever a bound drops is lost evidence, never invented.

mod missing;
mod sum;
mod vm;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serin_route::{GenerationReport, KeyHash, Report, RolloutReport, Side};

use crate::clock::since;
use crate::{Acknowledged, Traffic};
pub use missing::Missing;
use sum::Sum;
pub use vm::Heard;
use vm::{Vm, VmKey};

/// VMs of one run: a thousand proxies with four threads each.
const VMS_MAX: usize = 4096;
/// Generations whose sums are kept.
const SUMS_MAX: usize = 64;
/// Generations that still take reports. Older ones are closed and need no detail by VM: nothing is reported so late.
const OPEN_MAX: usize = 8;
/// Failing users of one run.
const USERS_MAX: usize = 65_536;
/// A VM that was silent for longer does not count as known.
const RECENT: Duration = Duration::from_secs(5);
/// An acknowledgement that takes longer is overdue.
const OVERDUE: Duration = Duration::from_secs(30);

/// The reports of one run.
///
/// Enter those of the scopes whose table holds the rollout: a VM that is heard and does not show it holds up the
/// acknowledgement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    name: String,
    namespace: String,
    run: String,
    vms: BTreeMap<VmKey, Vm>,
    sums: BTreeMap<u64, Sum>,
    /// Users that failed on either track; each counts where it was first seen failing.
    users: BTreeSet<KeyHash>,
    /// Generations below are closed.
    floor: u64,
}

/// Why a report was not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has nothing of this run. Its VM counts as heard all the same.
    OtherRun,
    /// A newer one of the same boot is known.
    Old,
    /// Too many proxies.
    Full,
    /// It is of the pods' own side: the same requests once more.
    OtherSide,
}

impl Book {
    /// An empty book for a run of one rollout.
    pub fn new(name: &str, namespace: &str, run: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            run: run.to_owned(),
            ..Self::default()
        }
    }

    /// The run whose reports this book keeps.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Enters a report that arrived at `at`.
    pub fn enter(&mut self, report: &Report, at: Timestamp) -> Result<(), Refused> {
        if report.side != Side::Client {
            return Err(Refused::OtherSide);
        }
        let key = VmKey::of(report);
        if !self.vms.contains_key(&key) && self.vms.len() >= VMS_MAX {
            return Err(Refused::Full);
        }
        let part = report.rollouts.iter().find(|part| {
            part.run == self.run && part.name == self.name && part.namespace == self.namespace
        });
        let shown = part.map(|part| part.generation);
        let vm = self.vms.entry(key.clone()).or_default();
        if !vm.hear(report, shown, at) {
            return Err(Refused::Old);
        }
        let part = part.ok_or(Refused::OtherRun)?;
        self.fold(&key, part);
        Ok(())
    }

    /// The sum of all VMs' counts.
    pub fn traffic(&self, now: Timestamp) -> Traffic {
        Traffic {
            generations: self.sums.values().map(Sum::traffic).collect(),
            heard: self.recent(now).count(),
        }
    }

    /// Whether every VM heard in the last five seconds shows the generation. `applied` is when it was applied (or the
    /// lead taken), `period_ms` the report period; where the number of VMs is known, all of them must have shown it,
    /// and no time need pass.
    pub fn acknowledged(
        &self,
        generation: u64,
        applied: Timestamp,
        now: Timestamp,
        period_ms: u32,
        expected: Option<usize>,
    ) -> Acknowledged {
        let (mut heard, mut shown) = (0_usize, 0_usize);
        for vm in self.recent(now) {
            heard = heard.saturating_add(1);
            shown = shown.saturating_add(usize::from(vm.shows(generation)));
        }
        let waited = since(applied, now);
        let periods = Duration::from_millis(u64::from(period_ms)).saturating_mul(2);
        let enough = match expected {
            Some(expected) => shown >= expected.max(1),
            None => shown > 0 && waited >= periods,
        };
        if enough && shown == heard {
            Acknowledged::Yes
        } else if waited >= OVERDUE {
            Acknowledged::Overdue
        } else {
            Acknowledged::No
        }
    }

    /// When the last of the VMs that show this generation (or a later one) first did so; none if none does.
    pub fn shown_at(&self, generation: u64) -> Option<Timestamp> {
        self.vms.values().filter_map(|vm| vm.first_shown(generation)).max()
    }

    /// Every VM that ever reported, by scope, proxy and boot.
    pub fn heard(&self) -> impl Iterator<Item = Heard<'_>> {
        self.vms.iter().map(|(key, vm)| vm.heard(key))
    }

    /// The proxies that report, each with its scope.
    pub fn reporting(&self, now: Timestamp) -> BTreeSet<(&str, &str)> {
        let recent = self.vms.iter().filter(|(_, vm)| vm.is_recent(now, RECENT));
        recent.map(|(key, _)| (key.scope.as_str(), key.proxy.as_str())).collect()
    }

    fn recent(&self, now: Timestamp) -> impl Iterator<Item = &Vm> {
        self.vms.values().filter(move |vm| vm.is_recent(now, RECENT))
    }

    fn fold(&mut self, key: &VmKey, part: &RolloutReport) {
        for report in &part.generations {
            if report.generation >= self.floor {
                self.replace(key, report);
            }
        }
        self.close();
    }

    /// Puts a VM's counts of one generation in the place of its former ones.
    fn replace(&mut self, key: &VmKey, report: &GenerationReport) {
        let generation = report.generation;
        let sum = self.sums.entry(generation).or_insert_with(|| Sum::new(report));
        let newest = sum.acceptable(report);
        let Some(vm) = self.vms.get_mut(key) else { return };
        if let Some(former) = vm.counts.insert(generation, newest.clone()) {
            sum.subtract(&former);
        }
        sum.add(&newest);
        for keyed in &report.keyed {
            for user in &keyed.failed {
                let full = self.users.len() >= USERS_MAX;
                if full && !self.users.contains(user) {
                    sum.overflow(keyed.track);
                } else if self.users.insert(*user) {
                    sum.first_failure(keyed.track);
                }
            }
        }
    }

    /// Closes generations that are too old to change, and forgets those that nobody needs.
    fn close(&mut self) {
        if let Some(oldest_open) = self.sums.keys().rev().nth(OPEN_MAX.saturating_sub(1))
            && *oldest_open > self.floor
        {
            self.floor = *oldest_open;
            for vm in self.vms.values_mut() {
                vm.counts = vm.counts.split_off(&self.floor);
            }
        }
        while self.sums.len() > SUMS_MAX {
            self.sums.pop_first();
        }
    }
}

#[cfg(test)]
mod tests;
