//! From values to pixels, and which values deserve a line.

/// A scale of one axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    from: (f64, f64),
    to: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    /// Equal steps for equal differences. An empty domain is widened.
    pub(crate) fn linear(from: (f64, f64), to: (f64, f64)) -> Self {
        let from = if from.1 > from.0 { from } else { (from.0, from.0 + 1.0) };
        Self { from, to, logarithmic: false }
    }

    /// Equal steps for equal ratios. Both bounds are positive; an empty domain is widened.
    pub(crate) fn logarithmic(from: (f64, f64), to: (f64, f64)) -> Self {
        let low = from.0.max(f64::MIN_POSITIVE);
        let high = if from.1 > low { from.1 } else { low * 10.0 };
        Self { from: (low.ln(), high.ln()), to, logarithmic: true }
    }

    /// Where a value lies; values outside the domain lie on its border.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let share = (value - self.from.0) / (self.from.1 - self.from.0);
        self.to.0 + share.clamp(0.0, 1.0) * (self.to.1 - self.to.0)
    }
}

/// At most `most` round values from 0 to `high`, and the round value at or above `high` where an axis may end.
pub(crate) fn round_ticks(high: f64, most: u32) -> (Vec<f64>, f64) {
    let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
    let raw = high / f64::from(most.max(1));
    let magnitude = 10_f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0];
    let step = factor
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= raw * 0.999_999)
        .unwrap_or(magnitude * 10.0);
    let steps = (high / step * 0.999_999).ceil();
    (multiples(step, steps), step * steps)
}

/// Round times in seconds up to `high`.
pub(crate) fn time_ticks(high: f64) -> Vec<f64> {
    let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
    let step = steps.into_iter().find(|step| high / step <= 10.0).unwrap_or(high / 10.0);
    multiples(step, (high / step).floor())
}

/// 1, 2 and 5 of each decade within bounds, or the decades alone where these are many.
pub(crate) fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor(), high.log10().ceil());
    let all = multiples(1.0, last - first)
        .into_iter()
        .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powf(first + decade)));
    let within: Vec<f64> =
        all.filter(|tick| *tick >= low * 0.999 && *tick <= high * 1.001).collect();
    if within.len() <= 6 {
        return within;
    }
    within.into_iter().filter(|tick| (tick.log10() - tick.log10().round()).abs() < 1e-9).collect()
}

fn multiples(step: f64, count: f64) -> Vec<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let count = count as u32;
    (0..=count.min(1000)).map(|index| f64::from(index) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_domain() {
        assert_eq!(round_ticks(0.34, 4), (vec![0.0, 0.1, 0.2, 0.300_000_000_000_000_04, 0.4], 0.4));
        assert_eq!(round_ticks(100.0, 4), (vec![0.0, 25.0, 50.0, 75.0, 100.0], 100.0));
        assert_eq!(round_ticks(f64::NAN, 2), round_ticks(1.0, 2));
        assert_eq!(time_ticks(14.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]);
        assert_eq!(log_ticks(5.0, 500.0), [10.0, 100.0]);
        assert_eq!(log_ticks(5.0, 100.0), [5.0, 10.0, 20.0, 50.0, 100.0]);
    }

    #[test]
    fn values_outside_lie_on_the_border() {
        let scale = Scale::logarithmic((1.0, 100.0), (0.0, 10.0));
        assert!((scale.at(10.0) - 5.0).abs() < 1e-9);
        assert!((scale.at(1e9) - 10.0).abs() < 1e-9);
        assert!(scale.at(0.0).abs() < 1e-9);
        assert!(Scale::linear((0.0, 0.0), (0.0, 10.0)).at(0.0).is_finite());
    }
}
