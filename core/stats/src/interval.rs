//! Intervals for people: they hold at all times at once, so that looking often does not spoil them.

use serde::{Deserialize, Serialize};

use crate::Counts;
use crate::tilt::WIDE;

/// Both bounds belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower bound.
    pub lo: f64,
    /// The upper bound, not below `lo`.
    pub hi: f64,
}

/// Where the odds ratios end: beyond a million a reader learns nothing more, and every bound stays finite.
const LN_ODDS_MAX: f64 = 13.815_510_557_964_274;

/// The rates that the counts do not refute: all p for which the mixture over uniform alternatives,
/// `B(k + 1, n − k + 1) / (p^k (1 − p)^(n − k))`, stays below 1/`alpha`. Without exposure it is [0, 1].
pub fn proportion_interval(counts: Counts, alpha: f64) -> Interval {
    let (n, k) = (counts.exposed as f64, counts.possible_bad() as f64);
    let Some(rate) = counts.rate() else { return Interval { lo: 0.0, hi: 1.0 } };
    let limit = ln_limit(alpha);
    let ln_beta = libm::lgamma(k + 1.0) + libm::lgamma(n - k + 1.0) - libm::lgamma(n + 2.0);
    let refuted = |p: f64| ln_beta - times_ln(k, p) - times_ln(n - k, 1.0 - p) >= limit;
    Interval { lo: bisect(0.0, rate, refuted), hi: bisect(1.0, rate, refuted) }
}

/// The odds ratios canary to primary that the strata do not refute: all θ for which the two-sided grid mixture around θ
/// stays below 1/`alpha`. Counts of one stratum must come from one weight and one route. None where no stratum has
/// bad events on both tracks' watch.
pub fn odds_ratio_interval(strata: &[(Counts, Counts)], alpha: f64) -> Option<Interval> {
    let limit = ln_limit(alpha);
    let refuted = |ln_theta: f64| two_sided(strata, ln_theta.exp()) >= limit;
    let steps = 2.0 * LN_ODDS_MAX / 400.0;
    let best = (0..=400_u32)
        .map(|step| -LN_ODDS_MAX + steps * f64::from(step))
        .min_by(|a, b| two_sided(strata, a.exp()).total_cmp(&two_sided(strata, b.exp())))?;
    let informative =
        strata.iter().any(|(c, p)| c.exposed > 0 && p.exposed > 0 && c.bad.max(p.bad) > 0);
    informative.then(|| Interval {
        lo: bisect(-LN_ODDS_MAX, best, refuted).exp(),
        hi: bisect(LN_ODDS_MAX, best, refuted).exp(),
    })
}

fn two_sided(strata: &[(Counts, Counts)], theta: f64) -> f64 {
    let (mut up, mut down) = ([0.0; 24], [0.0; 24]);
    for (canary, primary) in strata {
        let (k, n_c) = (canary.possible_bad(), canary.exposed as f64);
        let e = k.saturating_add(primary.possible_bad());
        let n = n_c + primary.exposed as f64;
        if e == 0 || n_c <= 0.0 || n_c >= n {
            continue;
        }
        let null = n_c * theta / (n - n_c + n_c * theta);
        WIDE.tilt(&mut up, k, e, &WIDE.ln_norms(null));
        WIDE.tilt(&mut down, e.saturating_sub(k), e, &WIDE.ln_norms(1.0 - null));
    }
    let all: Vec<f64> = up.into_iter().chain(down).collect();
    crate::combine::ln_mean_exp(&all)
}

/// The bound between `outside` and `inside`, which is not refuted; `outside` itself if it is not refuted either.
fn bisect(outside: f64, inside: f64, refuted: impl Fn(f64) -> bool) -> f64 {
    if !refuted(outside) {
        return outside;
    }
    let (mut out, mut within) = (outside, inside);
    for _ in 0..100 {
        let middle = f64::midpoint(out, within);
        if refuted(middle) { out = middle } else { within = middle }
    }
    within
}

/// ln(1/alpha), with what is no probability taken as 5 %.
fn ln_limit(alpha: f64) -> f64 {
    if alpha > 0.0 && alpha < 1.0 { -alpha.ln() } else { -0.05_f64.ln() }
}

/// count·ln(p), with 0·ln(0) = 0.
fn times_ln(count: f64, p: f64) -> f64 {
    if count > 0.0 { count * p.ln() } else { 0.0 }
}
