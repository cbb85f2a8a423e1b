//! The four charts of a release on one time axis: weight, error rate, latency, evidence.

mod errors;
mod evidence;
mod latency;
mod weight;

use serin_rollout::{Notice, NoticeKind};
use serin_route::Track;

use super::bins::{Bin, bins};
use super::html::{percent, seconds};
use super::panel::{Panel, time_axis};
use super::scale::{Scale, time_ticks};
use crate::recording::{Recording, Tally};

/// The pixels that the lines of one chart have.
const HEIGHT: f64 = 118.0;
/// Between two charts' lines and their upper edge.
const TOP: f64 = 8.0;

/// Reports come once a second, and now and then one comes late: no word of requests that were not sent.
pub(crate) const NO_REPORT: &str = "no report in this time";

/// Values over time, some missing.
type Line = Vec<(f64, Option<f64>)>;

/// All charts of a release.
pub(crate) fn charts(release: &Recording, number: usize) -> String {
    if release.points.is_empty() {
        return "<p>Nothing was measured.</p>\n".to_owned();
    }
    let bins = bins(release);
    format!(
        "<div class=\"charts\" data-release=\"{number}\">\n{}{}{}{}</div>\n",
        weight::chart(release, &bins),
        errors::chart(release, &bins),
        latency::chart(release, &bins),
        evidence::chart(release, &bins),
    )
}

/// A moment worth a line through all charts.
struct Moment {
    at_s: f64,
    class: &'static str,
    text: String,
}

fn moments(release: &Recording) -> Vec<Moment> {
    let moment = |notice: &Notice| {
        let (class, text) = match notice.kind {
            NoticeKind::Quarantined => ("moment quarantined", "◆ quarantined"),
            NoticeKind::Released => ("moment quarantined", "◇ released"),
            NoticeKind::RolledBack => ("moment ended", "✕ rolled back"),
            NoticeKind::Promoted => ("moment ended", "✓ promoted"),
            _ => return None,
        };
        let at_s = release.seconds(notice.at);
        Some(Moment { at_s, class, text: format!("{text} {}", seconds(at_s)) })
    };
    release.notices.iter().filter_map(moment).collect()
}

/// The spans in quarantine, for a shade behind the lines.
fn quarantines(release: &Recording) -> Vec<(f64, f64)> {
    let (mut spans, mut since) = (Vec::new(), None);
    for notice in &release.notices {
        let at_s = release.seconds(notice.at);
        match notice.kind {
            NoticeKind::Quarantined => since = since.or(Some(at_s)),
            NoticeKind::Released | NoticeKind::RolledBack | NoticeKind::Promoted => {
                spans.extend(since.take().map(|from| (from, at_s)));
            }
            _ => {}
        }
    }
    spans.extend(since.map(|from| (from, release.duration_s())));
    spans
}

fn frame(release: &Recording, top: f64, y: impl FnOnce((f64, f64)) -> Scale) -> Panel {
    let duration = release.duration_s();
    let mut panel = Panel::new(time_axis(duration), HEIGHT, top, y);
    for (from, to) in quarantines(release) {
        panel.shade(from, to, "quarantine");
    }
    panel.time_ticks(&time_ticks(duration), seconds_tick);
    for moment in moments(release) {
        panel.moment(moment.at_s, moment.class);
    }
    panel
}

fn seconds_tick(s: f64) -> String {
    if s > 0.0 && s % 60.0 == 0.0 { format!("{} min", s / 60.0) } else { format!("{s} s") }
}

fn both(bin: &Bin, tell: impl Fn(&Tally) -> String) -> String {
    if bin.is_silent() {
        return NO_REPORT.to_owned();
    }
    format!(
        "canary {}; primary {}",
        tell(bin.tally(Track::Canary)),
        tell(bin.tally(Track::Primary))
    )
}

/// `5.1 % (5 of 98)`.
pub(crate) fn failed(tally: &Tally) -> String {
    match tally.rate() {
        Some(rate) => format!("{} ({} of {})", percent(rate), tally.failures, tally.requests),
        None => "no requests".to_owned(),
    }
}

fn span(bin: &Bin) -> String {
    format!("{:.0}–{:.0} s", bin.from_s, bin.to_s)
}

fn class(track: Track) -> &'static str {
    match track {
        Track::Primary => "primary",
        Track::Canary => "canary",
    }
}
