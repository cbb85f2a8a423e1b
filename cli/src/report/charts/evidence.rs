//! The evidence against the canary, and where it acts.

use super::{Line, TOP, frame, span};
use crate::recording::{Point, Recording};
use crate::report::bins::Bin;
use crate::report::html::{evidence, power_of_ten};
use crate::report::panel::{Caption, Ink, Panel};
use crate::report::scale::Scale;

/// Evidence beyond these powers of ten tells nothing more.
const LOG_E: (f64, f64) = (-2.0, 9.0);

pub(crate) fn chart(release: &Recording, bins: &[Bin]) -> String {
    let plain = line(release, |point| point.ln_e);
    let capped = line(release, |point| point.ln_e_capped);
    let mut panel = axes(release, &plain, &capped);
    panel.line(&plain, "plain");
    panel.line(&capped, "capped");
    let newest = |of: fn(&Point) -> Option<f64>| release.points.iter().rev().find_map(of);
    let ends = [newest(|point| point.ln_e), newest(|point| point.ln_e_capped)];
    for (name, ln_e) in ["E", "E capped"].into_iter().zip(ends) {
        if let Some(ln_e) = ln_e {
            panel.label(log10(ln_e), Ink::Plain, format!("{name} {}", evidence(ln_e)));
        }
    }
    for bin in bins {
        let [e, capped] = [bin.point.ln_e, bin.point.ln_e_capped].map(told);
        panel.tip(bin.from_s, bin.to_s, &format!("{}: E {e}, capped {capped}", span(bin)));
    }
    let [e, capped] = ends.map(told);
    panel.figure(&Caption {
        title: "Evidence against the canary",
        note: "E (dashed), and E with bounded influence per block (solid); logarithmic scale",
        alt: &format!(
            "Line chart of the evidence E. At the end {e}, capped {capped}; quarantine at {}, \
             rollback at {}.",
            evidence(release.limits.quarantine),
            evidence(release.limits.rollback)
        ),
    })
}

/// The frame with the values at which something follows.
fn axes(release: &Recording, plain: &Line, capped: &Line) -> Panel {
    let limits = release.limits;
    let values = || plain.iter().chain(capped).filter_map(|(_, e)| *e);
    let low = values().fold(-1.0, f64::min).floor();
    let high = values().fold(log10(limits.rollback) + 0.6, f64::max).ceil();
    let mut panel = frame(release, TOP, |to| Scale::linear((low, high), to));
    let every = if high - low > 6.0 { 2.0 } else { 1.0 };
    let ticks: Vec<f64> = (0..=12).map(|n| f64::from(n) * every).filter(|x| *x <= high).collect();
    panel.value_ticks(&ticks, power_of_ten);
    let quarantine = format!("quarantine at {}", evidence(limits.quarantine));
    panel.threshold(log10(limits.quarantine), "limit quarantined", &quarantine);
    let rollback = format!("roll back at {}", evidence(limits.rollback));
    panel.threshold(log10(limits.rollback), "limit ended", &rollback);
    panel
}

/// The evidence at the end of each point; it begins at 1.
fn line(release: &Recording, of: impl Fn(&Point) -> Option<f64>) -> Line {
    let (span_s, end) = (f64::from(release.span_s), release.duration_s());
    let at = |point: &Point| (f64::from(point.index) + 1.0) * span_s;
    let points = release.points.iter().map(|point| (at(point).min(end), of(point).map(log10)));
    std::iter::once((0.0, Some(0.0))).chain(points).collect()
}

fn log10(ln_e: f64) -> f64 {
    (ln_e / std::f64::consts::LN_10).clamp(LOG_E.0, LOG_E.1)
}

fn told(ln_e: Option<f64>) -> String {
    ln_e.map_or("–".to_owned(), evidence)
}
