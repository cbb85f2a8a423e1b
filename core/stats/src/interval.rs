//! Intervals for people: made so that looking often does not spoil them, and no verdict hangs on them.

use serde::{Deserialize, Serialize};

use crate::Counts;
use crate::combine::ln_mean_exp;
use crate::tilt::{WIDE, WIDTH};

/// Both bounds belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower bound.
    pub lo: f64,
    /// The upper bound, not below `lo`.
    pub hi: f64,
}

/// Where the odds ratios end: beyond a million a reader learns nothing more, and every bound stays finite.
/// 20 halvings of the way there leave an error below 10^-4 of the ratio.
const LN_ODDS_MAX: f64 = 13.815_510_557_964_274;

/// The rates that the counts do not refute: all p for which the mixture over uniform alternatives,
/// `B(k + 1, n − k + 1) / (p^k (1 − p)^(n − k))`, stays below 1/`alpha`. Without exposure it is [0, 1]. What is no
/// `alpha` counts as .05.
pub fn proportion_interval(counts: Counts, alpha: f64) -> Interval {
    let (n, k) = (counts.exposed as f64, counts.possible_bad() as f64);
    let Some(rate) = counts.rate() else { return Interval { lo: 0.0, hi: 1.0 } };
    let limit = ln_limit(alpha);
    let ln_beta = libm::lgamma(k + 1.0) + libm::lgamma(n - k + 1.0) - libm::lgamma(n + 2.0);
    let refuted = |p: f64| ln_beta - times_ln(k, p) - times_ln(n - k, 1.0 - p) >= limit;
    Interval { lo: bisect(0.0, rate, 80, refuted), hi: bisect(1.0, rate, 80, refuted) }
}

/// The odds ratios canary to primary that the strata do not refute: all θ for which a two-sided grid mixture around θ
/// stays below 1/`alpha`. A stratum is the sums of one weight and one route, as (canary, primary). None without bad
/// units on any stratum that both tracks served.
///
/// Given a stratum's bad units, the canary's part of them has the non-central hypergeometric law. Its normaliser is
/// taken at its greatest term. That moves the bounds by at most 2 % where both tracks have a hundred units, and by 15 %
/// where one has a few: good enough to be read, not to decide. The ratios are cut at 10^-6 and 10^6.
pub fn odds_ratio_interval(strata: &[(Counts, Counts)], alpha: f64) -> Option<Interval> {
    let strata: Vec<Split> = strata.iter().filter_map(|&(c, p)| Split::new(c, p)).collect();
    let best = common_odds_ratio(&strata)?.ln().clamp(-LN_ODDS_MAX, LN_ODDS_MAX);
    let limit = ln_limit(alpha);
    let refuted = |ln_theta: f64| ln_e_around(&strata, ln_theta) >= limit;
    Some(Interval {
        lo: bisect(-LN_ODDS_MAX, best, 20, refuted).exp(),
        hi: bisect(LN_ODDS_MAX, best, 20, refuted).exp(),
    })
}

/// The bad units of a stratum and what each track could have had of them.
struct Split {
    canary: f64,
    primary: f64,
    canary_bad: f64,
    primary_bad: f64,
    bad: f64,
}

impl Split {
    fn new(canary: Counts, primary: Counts) -> Option<Self> {
        let split = Self {
            canary: canary.exposed as f64,
            primary: primary.exposed as f64,
            canary_bad: canary.possible_bad() as f64,
            primary_bad: primary.possible_bad() as f64,
            bad: canary.possible_bad() as f64 + primary.possible_bad() as f64,
        };
        (split.canary > 0.0 && split.primary > 0.0 && split.bad > 0.0).then_some(split)
    }

    /// The logarithm of the non-central hypergeometric law's greatest term, its coefficients by entropy, and with it
    /// (but for a constant) of the law's normaliser. `j` of that term solves `j(n_p − e + j) = θ(n_c − j)(e − j)`.
    fn ln_norm(&self, ln_theta: f64) -> f64 {
        let theta = ln_theta.exp();
        let (square, linear) =
            (1.0 - theta, self.primary - self.bad + theta * (self.canary + self.bad));
        let constant = theta * self.canary * self.bad;
        let root = (linear * linear + 4.0 * square * constant).max(0.0).sqrt();
        let least = (self.bad - self.primary).max(0.0);
        let most = self.bad.min(self.canary);
        // Not `clamp`: beyond 2^53 rounding can put the least part above the greatest.
        let j = (2.0 * constant / (linear + root)).max(least).min(most);
        ln_choose(self.canary, j) + ln_choose(self.primary, self.bad - j) + j * ln_theta
    }
}

/// The odds ratio by Mantel and Haenszel, half a unit added everywhere so that it is neither 0 nor infinite.
fn common_odds_ratio(strata: &[Split]) -> Option<f64> {
    let (mut up, mut down) = (0.0, 0.0);
    for split in strata {
        let all = split.canary + split.primary;
        up += (split.canary_bad + 0.5) * (split.primary - split.primary_bad + 0.5) / all;
        down += (split.primary_bad + 0.5) * (split.canary - split.canary_bad + 0.5) / all;
    }
    (down > 0.0).then(|| up / down)
}

/// ln E against "the odds ratio is θ", half of the mixture on greater ratios, half on smaller ones.
fn ln_e_around(strata: &[Split], ln_theta: f64) -> f64 {
    let mut ln_factors = [0.0; 2 * WIDTH];
    for split in strata {
        let here = split.ln_norm(ln_theta);
        for (sum, ln_ratio) in ln_factors.iter_mut().zip(shifts()) {
            *sum += split.canary_bad * ln_ratio + here - split.ln_norm(ln_theta + ln_ratio);
        }
    }
    ln_mean_exp(&ln_factors)
}

/// The alternatives' odds ratios to θ, in logarithms: each of the grid and its inverse.
fn shifts() -> impl Iterator<Item = f64> {
    WIDE.ln_ratio.iter().flat_map(|&ln_ratio| [ln_ratio, -ln_ratio])
}

/// ln of a binomial coefficient without Stirling's lesser terms: `n` times the entropy of j/n.
fn ln_choose(n: f64, j: f64) -> f64 {
    let part = |j: f64| if j > 0.0 { j * (n / j).ln() } else { 0.0 };
    part(j) + part(n - j)
}

/// The bound between `outside` and `inside`, which is not refuted; `outside` itself if it is not refuted either. Each
/// of the `steps` halves the error.
fn bisect(outside: f64, inside: f64, steps: u32, refuted: impl Fn(f64) -> bool) -> f64 {
    if !refuted(outside) {
        return outside;
    }
    let (mut out, mut within) = (outside, inside);
    for _ in 0..steps {
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
