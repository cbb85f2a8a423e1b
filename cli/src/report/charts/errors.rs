//! The share of requests that failed, of both tracks, with intervals.

use serin_route::Track;

use super::{TOP, both, class, failed, frame, span};
use crate::recording::{Recording, Tally};
use crate::report::bins::{Bin, Rate, window_s, windows};
use crate::report::html::percent;
use crate::report::panel::{Caption, Ink};
use crate::report::scale::{Scale, round_ticks};

pub(crate) fn chart(release: &Recording, bins: &[Bin]) -> String {
    let tracks = [Track::Primary, Track::Canary].map(|track| (track, rates(release, bins, track)));
    let high = error_limit(tracks.iter().flat_map(|(_, rates)| rates.iter().flatten()));
    let (ticks, high) = round_ticks(high, 4);
    let mut panel = frame(release, TOP, |to| Scale::linear((0.0, high.min(1.0)), to));
    panel.value_ticks(&ticks, percent);
    let totals = release.totals();
    for (track, rates) in &tracks {
        let times = || bins.iter().map(|bin| bin.to_s).zip(rates);
        let band: Vec<_> = times().map(|(at, rate)| (at, rate.map(|r| (r.low, r.high)))).collect();
        let line: Vec<_> = times().map(|(at, rate)| (at, rate.map(|r| r.share))).collect();
        panel.band(&band, class(*track));
        panel.line(&line, class(*track));
        if let Some(last) = line.iter().rev().find_map(|(_, rate)| *rate) {
            let overall = percent(totals.of(*track).rate().unwrap_or(last));
            panel.label(last, Ink::Track(*track), format!("{overall} overall"));
        }
    }
    for bin in bins {
        panel.tip(bin.from_s, bin.to_s, &format!("{}: {}", span(bin), both(bin, failed)));
    }
    let window = window_s(release);
    panel.figure(&Caption {
        title: "Error rate",
        note: &format!("requests that failed, over the last {window} s, with 95 % intervals"),
        alt: &format!(
            "Line chart of error rates. Over the whole release: canary {}, primary {}.",
            failed(&totals.canary),
            failed(&totals.primary)
        ),
    })
}

fn rates(release: &Recording, bins: &[Bin], track: Track) -> Vec<Option<Rate>> {
    let rate = |window: Option<Tally>| window.as_ref().and_then(Rate::of);
    windows(release, bins, track).into_iter().map(rate).collect()
}

/// Where the axis of error rates ends: all rates lie inside, and the widest intervals may be cut.
fn error_limit<'a>(rates: impl Iterator<Item = &'a Rate>) -> f64 {
    let (mut high, mut widest) = (0.01_f64, 0.0_f64);
    for rate in rates {
        high = high.max(rate.share * 1.1);
        widest = widest.max(rate.high);
    }
    high.max(widest * 0.75).min(1.0)
}
