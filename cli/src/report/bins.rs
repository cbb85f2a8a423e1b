//! The recording's points in spans wide enough to say something.

use serin_route::Track;

use crate::recording::{Point, Recording, Tally};

/// One span of the charts.
pub(crate) struct Bin {
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
    pub(crate) point: Point,
}

/// About as many spans as a chart can show apart.
const BINS: f64 = 30.0;
/// Rates and quantiles over less than this are noise.
const WINDOW_S: u32 = 5;

/// The width of a recording's bins in seconds, a round number.
pub(crate) fn width_s(recording: &Recording) -> u32 {
    let wanted = recording.duration_s() / BINS;
    let round: [u32; 15] = [1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600];
    let width = round.into_iter().find(|width| f64::from(*width) >= wanted).unwrap_or(7200);
    width.div_ceil(recording.span_s) * recording.span_s
}

/// The recording in bins; the last may be cut short by its end.
pub(crate) fn bins(recording: &Recording) -> Vec<Bin> {
    let width = width_s(recording);
    let merged = Point::merge(&recording.points, width / recording.span_s.max(1));
    let end = recording.duration_s();
    let bin = |point: Point| {
        let from_s = f64::from(point.index) * f64::from(width);
        let to_s = (from_s + f64::from(width)).min(end.max(from_s));
        Bin { from_s, to_s, point }
    };
    merged.into_iter().map(bin).collect()
}

impl Bin {
    /// The time in its middle.
    pub(crate) fn middle_s(&self) -> f64 {
        f64::midpoint(self.from_s, self.to_s)
    }

    /// Nothing was reported of either track.
    pub(crate) fn is_silent(&self) -> bool {
        self.point.tracks.primary.requests == 0 && self.point.tracks.canary.requests == 0
    }

    pub(crate) fn tally(&self, track: Track) -> &Tally {
        self.point.tracks.of(track)
    }
}

/// A rate and the bounds of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) low: f64,
    pub(crate) share: f64,
    pub(crate) high: f64,
}

/// The span in seconds that [`windows`] look back over.
pub(crate) fn window_s(recording: &Recording) -> u32 {
    let width = width_s(recording);
    WINDOW_S.div_ceil(width) * width
}

/// What a track did in the window that ends with each bin; none where there is nothing in it.
pub(crate) fn windows(recording: &Recording, bins: &[Bin], track: Track) -> Vec<Option<Tally>> {
    let window = window_s(recording) / width_s(recording);
    let within = |bin: &Bin| {
        let mut sum = Tally::default();
        for other in bins {
            if other.point.index <= bin.point.index && other.point.index + window > bin.point.index
            {
                sum.add(other.tally(track));
            }
        }
        (sum.requests > 0).then_some(sum)
    };
    bins.iter().map(within).collect()
}

impl Rate {
    /// Wilson's interval: each window is looked at for itself, and no decision is made of it.
    pub(crate) fn of(tally: &Tally) -> Option<Self> {
        let (n, z) = (tally.requests as f64, 1.96_f64);
        let share = tally.rate()?;
        let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half =
            z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt() / (1.0 + z * z / n);
        Some(Self { low: (middle - half).max(0.0), share, high: (middle + half).min(1.0) })
    }
}

impl Tally {
    /// The share that failed.
    pub(crate) fn rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.failures as f64 / self.requests as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        let mut tally = Tally::default();
        (tally.requests, tally.failures) = (100, 5);
        let Rate { low, share, high } = Rate::of(&tally).expect("requests");
        assert!((low - 0.021_543).abs() < 1e-5, "{low}");
        assert!((share - 0.05).abs() < 1e-12, "{share}");
        assert!((high - 0.111_752).abs() < 1e-5, "{high}");
        assert_eq!(Rate::of(&Tally::default()), None);
    }
}
