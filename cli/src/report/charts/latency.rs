//! How long requests took: median and 99th percentile of both tracks.

use serin_route::Track;

use super::{Line, TOP, both, class, frame, span};
use crate::recording::Recording;
use crate::report::bins::{Bin, window_s, windows};
use crate::report::html::milliseconds;
use crate::report::panel::{Caption, Ink};
use crate::report::scale::{Scale, log_ticks};

pub(crate) fn chart(release: &Recording, bins: &[Bin]) -> String {
    let lines: Vec<(Track, f64, Line)> = [Track::Primary, Track::Canary]
        .into_iter()
        .flat_map(|track| [0.5, 0.99].map(|q| (track, q, quantiles(release, bins, track, q))))
        .collect();
    let Some((low, high)) = bounds(lines.iter().flat_map(|(.., line)| line)) else {
        return String::new();
    };
    let mut panel = frame(release, TOP, |to| Scale::logarithmic((low, high), to));
    panel.value_ticks(&log_ticks(low, high), milliseconds);
    let mut told = Vec::new();
    for (track, q, line) in &lines {
        let percentile = if *q < 0.9 { "p50" } else { "p99" };
        panel.line(line, &format!("{} {percentile}", class(*track)));
        if let Some(last) = line.iter().rev().find_map(|(_, ms)| *ms) {
            let text = format!("{percentile} {}", milliseconds(last));
            told.push(format!("{} {text}", class(*track)));
            panel.label(last, Ink::Track(*track), text);
        }
    }
    for bin in bins {
        let text = both(bin, |tally| {
            let at = |q| tally.quantile(&release.edges_ms, q).map_or("–".into(), milliseconds);
            format!("p50 {}, p99 {}", at(0.5), at(0.99))
        });
        panel.tip(bin.from_s, bin.to_s, &format!("{}: {text}", span(bin)));
    }
    panel.figure(&Caption {
        title: "Latency",
        note: &format!(
            "median (dotted) and 99th percentile (solid) of the last {} s; logarithmic scale",
            window_s(release)
        ),
        alt: &format!("Line chart of latency. At the end: {}.", told.join(", ")),
    })
}

/// Where the axis begins and ends: around all values, and over a factor of four at least.
fn bounds<'a>(points: impl Iterator<Item = &'a (f64, Option<f64>)>) -> Option<(f64, f64)> {
    let values: Vec<f64> = points.filter_map(|(_, ms)| *ms).collect();
    let low = values.iter().copied().reduce(f64::min)? * 0.8;
    let high = values.iter().copied().reduce(f64::max)? * 1.25;
    (low > 0.0).then_some((low, high.max(low * 4.0)))
}

fn quantiles(release: &Recording, bins: &[Bin], track: Track, q: f64) -> Line {
    bins.iter()
        .zip(windows(release, bins, track))
        .map(|(bin, window)| (bin.to_s, window.and_then(|w| w.quantile(&release.edges_ms, q))))
        .collect()
}
