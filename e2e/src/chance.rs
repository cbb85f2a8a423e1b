//! How far chance may carry a count.

/// The distance of a binomial count from its mean, in standard deviations.
///
/// `share` is strictly between 0 and 1.
pub fn sigmas(count: u64, of: u64, share: f64) -> f64 {
    let trials = of as f64;
    let deviation = (trials * share * (1.0 - share)).sqrt();
    (count as f64 - trials * share).abs() / deviation
}

#[cfg(test)]
mod tests {
    use super::sigmas;

    #[test]
    fn distance_is_in_standard_deviations() {
        assert!(sigmas(500, 1000, 0.5) < 1e-12);
        assert!((sigmas(1060, 10_000, 0.1) - 2.0).abs() < 1e-12);
        assert!((sigmas(940, 10_000, 0.1) - 2.0).abs() < 1e-12);
    }
}
