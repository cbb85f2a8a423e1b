//! A verdict in one line: what was seen, what was concluded, what it waits for.

use serin_stats::Counts;

use crate::{Action, Leading, Verdict, VerdictState};

/// Evidence beyond which nobody asks for more.
const CERTAIN: f64 = 1e15;

/// The line. `seen` are canary and primary in the leading respect.
pub(super) fn sentence(verdict: &Verdict, seen: (Counts, Counts), pods: u32) -> String {
    let (canary, primary) = seen;
    let respect = respect(verdict.leading.as_ref());
    // What nobody has seen passed no test, whatever lets it advance.
    let nothing = canary.exposed == 0 && primary.exposed == 0;
    let mut parts = vec![if nothing {
        "no data: nothing was compared".to_owned()
    } else {
        format!("{respect} {} vs {}", share(canary), share(primary))
    }];
    if let Some(odds) = verdict.odds_ratio {
        parts.push(format!("odds ratio [{}–{}]", short(odds.lo), short(odds.hi)));
    }
    if !nothing {
        parts.push(evidence(verdict));
    }
    if pods > 0 {
        parts.push(format!("{pods} {}", if pods == 1 { "pod" } else { "pods" }));
    }
    let line = match (heading(verdict), nothing) {
        ("PASS", true) => parts.join(", "),
        (heading, _) => format!("{heading} {}", parts.join(", ")),
    };
    match verdict.waits_for.as_slice() {
        [] => line,
        waits_for => format!("{line}; waits for {}", waits_for.join(", ")),
    }
}

fn heading(verdict: &Verdict) -> &'static str {
    match (verdict.state, verdict.action) {
        (VerdictState::Fail, _) => "FAIL",
        (VerdictState::Pass, _) => "PASS",
        (VerdictState::Inconclusive, Action::Quarantine) => "QUARANTINE",
        (VerdictState::Inconclusive, _) => "HOLD",
    }
}

fn respect(leading: Option<&Leading>) -> String {
    let Some(Leading { metric, route, edge_ms }) = leading else { return "errors".to_owned() };
    let route = route.as_ref().map(|route| format!("{route} ")).unwrap_or_default();
    let edge = edge_ms.map(|edge_ms| format!(" over {edge_ms}ms")).unwrap_or_default();
    format!("{route}{metric}{edge}")
}

fn share(counts: Counts) -> String {
    match counts.rate() {
        Some(rate) => format!("{}% ({}/{})", short(rate * 100.0), counts.bad, counts.exposed),
        None => "no requests".to_owned(),
    }
}

/// The chance is worth telling only when it is small.
fn evidence(verdict: &Verdict) -> String {
    if verdict.ln_e < 1.0 {
        return format!("E={}", short(verdict.ln_e.exp()));
    }
    let e = verdict.ln_e.exp();
    let (equals, chance) = if e < CERTAIN { ("=", short(e)) } else { (">", short(CERTAIN)) };
    let blocks = verdict.blocks;
    let noun = if blocks == 1 { "block" } else { "blocks" };
    // What one block may add is bounded, so that a burst rolls nobody back: where that binds, it is what is waited for.
    let capped = match short(verdict.ln_e_capped.exp()) {
        capped if verdict.ln_e_capped < CERTAIN.ln() && capped != chance => {
            format!("capped {capped} in ")
        }
        _ => String::new(),
    };
    format!("E{equals}{chance} (chance if healthy ≤ 1/{chance}), {capped}{blocks} {noun}")
}

/// Two or three figures: `0.11`, `5.1`, `98`, `3.2e3`.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.1e}"),
        size if size >= 10.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        size if size >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;
    use serin_stats::Interval;

    fn verdict(state: VerdictState, action: Action, ln_e: f64) -> Verdict {
        Verdict {
            state,
            action,
            reason: "ErrorRate".into(),
            ln_e,
            ln_e_capped: ln_e,
            leading: Some(Leading {
                metric: "errors".into(),
                route: Some("cart".into()),
                edge_ms: None,
            }),
            canary: Sample::default(),
            primary: Sample::default(),
            odds_ratio: Some(Interval { lo: 4.6, hi: 1454.0 }),
            blocks: 3,
            waits_for: vec![],
            text: String::new(),
            at: crate::fixture::at(0),
        }
    }

    #[test]
    fn a_conviction_reads_like_one() {
        let seen = (Counts::new(98, 5), Counts::new(1880, 2));
        let verdict = verdict(VerdictState::Fail, Action::Rollback, 3200_f64.ln());
        assert_eq!(
            sentence(&verdict, seen, 2),
            "FAIL cart errors 5.1% (5/98) vs 0.11% (2/1880), odds ratio [4.6–1.5e3], \
             E=3.2e3 (chance if healthy ≤ 1/3.2e3), 3 blocks, 2 pods"
        );
    }

    #[test]
    fn what_is_certain_needs_no_figures() {
        let certain = verdict(VerdictState::Fail, Action::Rollback, 900.0);
        assert_eq!(evidence(&certain), "E>1.0e15 (chance if healthy ≤ 1/1.0e15), 3 blocks");
    }

    #[test]
    fn a_burst_says_how_much_of_it_counts() {
        let mut burst = verdict(VerdictState::Inconclusive, Action::Quarantine, 2700_f64.ln());
        (burst.ln_e_capped, burst.blocks) = (14_f64.ln(), 1);
        assert_eq!(evidence(&burst), "E=2.7e3 (chance if healthy ≤ 1/2.7e3), capped 14 in 1 block");
    }

    #[test]
    fn what_was_not_seen_did_not_pass() {
        let mut unseen = verdict(VerdictState::Pass, Action::Advance, 0.0);
        unseen.odds_ratio = None;
        let nothing = (Counts::default(), Counts::default());
        assert_eq!(sentence(&unseen, nothing, 2), "no data: nothing was compared, 2 pods");
    }

    #[test]
    fn what_holds_says_what_it_waits_for() {
        let mut holds = verdict(VerdictState::Inconclusive, Action::Hold, 0.6_f64.ln());
        holds.waits_for = vec!["the interval (7 s)".into(), "a person".into()];
        holds.odds_ratio = None;
        holds.leading = Some(Leading { metric: "latency".into(), route: None, edge_ms: Some(354) });
        let seen = (Counts::default(), Counts::new(3, 0));
        assert_eq!(
            sentence(&holds, seen, 0),
            "HOLD latency over 354ms no requests vs 0% (0/3), E=0.60; \
             waits for the interval (7 s), a person"
        );
    }

    #[test]
    fn numbers_are_short_whatever_they_are() {
        for (value, text) in [
            (0.0, "0"),
            (0.000_12, "1e-4"),
            (0.114, "0.11"),
            (5.06, "5.1"),
            (97.9, "98"),
            (3217.0, "3.2e3"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
