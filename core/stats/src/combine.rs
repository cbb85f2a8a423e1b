//! Several processes as one, in logarithms.

/// The mean of processes: evidence against "all are harmless", whatever depends on whatever. None at all are no
/// evidence (0).
pub fn mean_ln(ln_es: impl IntoIterator<Item = f64>) -> f64 {
    let ln_es: Vec<f64> = ln_es.into_iter().filter(|ln_e| !ln_e.is_nan()).collect();
    ln_mean_exp(&ln_es)
}

/// The weighted sum of processes, given as pairs of weight and ln E. Weights that sum to less than 1 leave the rest on
/// a process that stays at 1; weights that sum to more are scaled down to 1. Negative weights and what is no number
/// count as nothing.
pub fn weighted_ln(weighted: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut ln_sum) = (0.0, f64::NEG_INFINITY);
    for (weight, ln_e) in weighted {
        if weight > 0.0 && weight.is_finite() && !ln_e.is_nan() {
            sum += weight;
            ln_sum = ln_add_exp(ln_sum, weight.ln() + ln_e);
        }
    }
    if sum > 1.0 { ln_sum - sum.ln() } else { ln_add_exp(ln_sum, (1.0 - sum).ln()) }
}

/// ln of the mean of exponentials; 0 for none.
pub(crate) fn ln_mean_exp(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.is_empty() {
        return 0.0;
    }
    if most.is_infinite() {
        return most;
    }
    let sum: f64 = values.iter().map(|value| (value - most).exp()).sum();
    most + (sum / values.len() as f64).ln()
}

/// ln of the sum of two exponentials.
pub(crate) fn ln_add_exp(one: f64, other: f64) -> f64 {
    let (most, least) = (one.max(other), one.min(other));
    if most.is_infinite() { most } else { most + (least - most).exp().ln_1p() }
}
