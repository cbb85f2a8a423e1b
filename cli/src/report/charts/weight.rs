//! The canary's share of traffic, step by step, with the names of the moments above.

use serin_route::Track;

use super::{frame, moments, span};
use crate::recording::Recording;
use crate::report::bins::Bin;
use crate::report::html::{percent, seconds};
use crate::report::panel::{Caption, Ink, Panel};
use crate::report::scale::{Scale, round_ticks};

/// For the names of the moments, which stand in two rows.
const BANNERS: f64 = 38.0;

pub(crate) fn chart(release: &Recording, bins: &[Bin]) -> String {
    let points: Vec<(f64, f64)> =
        release.weights.iter().map(|change| (change.at_s, change.weight.fraction())).collect();
    let highest = points.iter().map(|(_, weight)| *weight).fold(0.01, f64::max);
    let (ticks, high) = round_ticks(highest, 4);
    let mut panel = frame(release, BANNERS, |to| Scale::linear((0.0, high), to));
    panel.value_ticks(&ticks, percent);
    panel.steps(&points, release.duration_s(), "canary");
    label_steps(&mut panel, release, &points, high);
    for moment in moments(release) {
        panel.banner(moment.at_s, &moment.text);
    }
    if let Some((_, weight)) = points.last() {
        panel.label(*weight, Ink::Track(Track::Canary), percent(*weight));
    }
    for bin in bins {
        let held = points.iter().rev().find(|(at, _)| *at <= bin.middle_s());
        let weight = percent(held.map_or(0.0, |(_, weight)| *weight));
        panel.tip(bin.from_s, bin.to_s, &format!("{}: weight {weight}", span(bin)));
    }
    let told: Vec<String> = points
        .iter()
        .map(|(at, weight)| format!("{} from {}", percent(*weight), seconds(*at)))
        .collect();
    panel.figure(&Caption {
        title: "Weight",
        note: "the new version’s share of traffic, as decided",
        alt: &format!("Step chart of the new version's share of traffic: {}.", told.join(", ")),
    })
}

/// Names each step that is long enough to carry words.
fn label_steps(panel: &mut Panel, release: &Recording, points: &[(f64, f64)], high: f64) {
    let duration = release.duration_s();
    let ends = points.iter().skip(1).map(|(at, _)| *at).chain([duration]);
    for ((at, weight), end) in points.iter().zip(ends) {
        if end - at > duration * 0.05 && *weight > 0.0 {
            let above = if *weight > high * 0.85 { -14.0 } else { 5.0 };
            panel.words(at + duration * 0.004, *weight, above, &percent(*weight));
        }
    }
}
