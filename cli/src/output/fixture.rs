//! What tests of the output begin with.

use jiff::Timestamp;
use serin_rollout::{Action, Sample, Verdict, VerdictState};

/// A verdict that waits for something.
pub(crate) fn verdict(waits_for: &[&str]) -> Verdict {
    Verdict {
        state: VerdictState::Inconclusive,
        action: Action::Hold,
        reason: "Interval".to_owned(),
        ln_e: 0.0,
        ln_e_capped: 0.0,
        leading: None,
        canary: Sample::default(),
        primary: Sample::default(),
        odds_ratio: None,
        blocks: 0,
        waits_for: waits_for.iter().map(|&it| it.to_owned()).collect(),
        text: "HOLD errors 0% (0/9) vs 0% (0/90), E=1.0".to_owned(),
        at: Timestamp::UNIX_EPOCH,
    }
}
