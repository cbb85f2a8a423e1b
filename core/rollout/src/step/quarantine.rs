//! Early evidence cuts the weight: a cut can be undone, harm cannot.

use std::time::Duration;

use serin_route::Weight;

use super::Turn;
use super::rollback::Ending;
use crate::clock::since;
use crate::evidence::{CATASTROPHE, Finding};
use crate::{Action, Dwell, NoticeKind, OnInconclusive, Quarantine, QuarantineWeight, Run};
use crate::{Stage, VerdictState};

/// The least weight that quarantine leaves, and the least rate of canary requests: on less a broken canary takes half
/// a minute to convict. Both look at the past alone, so the evidence stays valid.
const FLOOR_BASIS_POINTS: u16 = 100;
const FLOOR_RATE: f64 = 5.0;
/// Evidence that has not risen for so long will not convict.
const STALE: Duration = Duration::from_mins(5);
/// A rise that is worth a write of status (in ln E).
const RISE: f64 = 0.1;
/// Quarantine begins when seconds of traffic are known; after so long the rate, and with it the floor, is better known.
const RATE_KNOWN: Duration = Duration::from_secs(3);

impl Turn<'_> {
    /// Enters, watches or leaves quarantine.
    pub(super) fn weigh(&mut self, run: &mut Run, finding: Finding) {
        match (run.quarantine.take(), finding) {
            (Some(quarantine), _) => self.watch(run, quarantine),
            (None, Finding::Suspect(reason)) if run.quarantined_before && reason != CATASTROPHE => {
                self.roll_back(run, Ending::evidence(reason));
            }
            (None, Finding::Suspect(reason)) if run.stage == Stage::Analysing => {
                self.enter_quarantine(run, reason);
            }
            (None, _) => {}
        }
    }

    fn enter_quarantine(&mut self, run: &mut Run, reason: &str) {
        let resume = run.suspended.unwrap_or(run.weight);
        let weight = self.quarantine_weight(resume);
        run.quarantine = Some(Quarantine {
            since: self.now,
            resume,
            peak: self.ledger.ln_e(),
            peak_at: self.now,
        });
        if run.suspended.is_some() {
            run.suspended = Some(weight);
        } else if weight < run.weight {
            self.set_weight(run, weight);
        }
        let subject = self.subject();
        let message = if weight < resume {
            format!("Quarantine {subject}: canary weight {weight} until the evidence is clear")
        } else {
            format!("Quarantine {subject}: canary weight stays {weight}")
        };
        let verdict = self.verdict(VerdictState::Inconclusive, Action::Quarantine, reason);
        self.tell_verdict(run, NoticeKind::Quarantined, message, verdict);
    }

    fn quarantine_weight(&self, weight: Weight) -> Weight {
        let floor = match self.plan.evidence.quarantine {
            QuarantineWeight::Keep => return weight,
            QuarantineWeight::Zero => return Weight::ZERO,
            QuarantineWeight::Floor => match self.ledger.rate(self.now) {
                Some(rate) if rate > 0.0 => floor(FLOOR_RATE / rate),
                _ => Weight::FULL,
            },
        };
        let least = Weight::from_basis_points(FLOOR_BASIS_POINTS).unwrap_or(Weight::ZERO);
        weight.min(floor.max(least))
    }

    /// Looks after a quarantine that lasts.
    fn watch(&mut self, run: &mut Run, mut quarantine: Quarantine) {
        let ln_e = self.ledger.ln_e();
        if ln_e > quarantine.peak + RISE {
            quarantine.peak = ln_e;
            quarantine.peak_at = self.now;
        }
        let stale = since(quarantine.peak_at, self.now) >= STALE;
        let policy = self.plan.evidence.on_inconclusive;
        let suspect = self.is_suspect();
        // Lost evidence is no good evidence: a controller that died must not let a suspect go.
        let clear = ln_e < 0.0
            && !run.quarantined_before
            && self.ledger.reaches(quarantine.since)
            && !self.ledger.is_catastrophe(self.now);
        if clear || (stale && policy == OnInconclusive::Promote && !suspect) {
            return self.release(run, quarantine);
        }
        self.left(STALE, quarantine.peak_at);
        if since(quarantine.since, self.now) >= RATE_KNOWN {
            self.lower_to_floor(run);
        }
        run.quarantine = Some(quarantine);
        if stale && policy == OnInconclusive::Rollback {
            let message = format!("Rolling back {} its evidence stays unclear", self.subject());
            self.roll_back(run, Ending::new("Inconclusive", message));
        } else if stale && run.dwell != Dwell::Expired {
            run.dwell = Dwell::Expired;
            self.wait("Quarantined", "a person to decide");
            self.tell_held(run, "its evidence stays unclear; a person must decide");
        }
    }

    /// The floor follows the rate down, never up, and only where a quarter of the weight is to be had for it.
    fn lower_to_floor(&mut self, run: &mut Run) {
        let weight = self.quarantine_weight(run.weight);
        let worth_it = weight < run.weight
            && weight.basis_points().saturating_mul(4)
                <= run.weight.basis_points().saturating_mul(3);
        if worth_it && run.suspended.is_none() && self.in_force(run) {
            self.set_weight(run, weight);
            let message =
                format!("Hold {}: canary weight {weight} is enough to decide", self.subject());
            self.tell(NoticeKind::Held, weight, message);
        }
    }

    /// A person wants to go on where the evidence stays unclear. While it is as strong as it was, it stays.
    pub(super) fn resume_from_quarantine(&mut self, run: &mut Run) {
        let Some(mut quarantine) = run.quarantine.take() else { return };
        if self.is_suspect() {
            quarantine.peak_at = self.now;
            run.quarantine = Some(quarantine);
        } else {
            self.release(run, quarantine);
        }
    }

    fn is_suspect(&self) -> bool {
        self.ledger.ln_e() >= -self.plan.evidence.alpha_quarantine.ln()
    }

    /// Returns to the former weight, once.
    fn release(&mut self, run: &mut Run, quarantine: Quarantine) {
        if !self.in_force(run) {
            run.quarantine = Some(quarantine);
            return;
        }
        run.quarantined_before = true;
        if run.suspended.is_some() {
            run.suspended = Some(quarantine.resume);
        } else {
            self.set_weight(run, quarantine.resume);
        }
        let verdict = self.verdict(VerdictState::Inconclusive, Action::Advance, "Released");
        let message = format!(
            "Release {} from quarantine: canary weight {}",
            self.subject(),
            quarantine.resume
        );
        self.tell_verdict(run, NoticeKind::Released, message, verdict);
    }
}

/// A fraction of all traffic as a weight, rounded up.
fn floor(fraction: f64) -> Weight {
    let basis_points = (fraction * f64::from(Weight::FULL.basis_points())).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    let basis_points = basis_points.clamp(0.0, 10_000.0) as u16;
    Weight::from_basis_points(basis_points).unwrap_or(Weight::FULL)
}
