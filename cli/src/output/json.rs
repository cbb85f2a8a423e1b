//! Lines of JSON on the standard output, one for each notice.

use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serin_rollout::{Notice, NoticeKind, Phase, Severity, Verdict};

use super::{Moment, Sink};
use crate::recording::share;

/// Prints notices as lines of JSON.
#[derive(Clone, Debug)]
pub struct Lines {
    release: String,
}

/// A notice's line. The fields and their names are an interface; `docs/local.md` says what they mean.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    release: &'a str,
    at: Timestamp,
    kind: NoticeKind,
    severity: Severity,
    message: &'a str,
    phase: Phase,
    weight_percent: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a Verdict>,
}

impl Lines {
    /// Lines about a release.
    pub fn of(release: &str) -> Self {
        Self { release: release.to_owned() }
    }

    /// Prints one line. Whoever reads it may have gone away, which stops no release.
    pub fn print(line: &impl Serialize) {
        let Ok(line) = serde_json::to_string(line) else { return };
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}");
        let _ = out.flush();
    }

    fn line<'a>(&'a self, notice: &'a Notice) -> Line<'a> {
        let Notice { at, kind, severity, message, phase, weight, verdict } = notice;
        let weight = share(*phase, *weight);
        Line {
            release: &self.release,
            at: *at,
            kind: *kind,
            severity: *severity,
            message,
            phase: *phase,
            weight_percent: f64::from(weight.basis_points()) / 100.0,
            verdict: verdict.as_ref(),
        }
    }
}

impl Sink for Lines {
    fn notice(&mut self, notice: &Notice) {
        Self::print(&self.line(notice));
    }

    fn moment(&mut self, _: &Moment<'_>) {}
}

#[cfg(test)]
mod tests {
    use serin_route::Weight;

    use super::*;

    #[test]
    fn a_line_is_exactly_this() {
        let notice = Notice {
            at: Timestamp::UNIX_EPOCH,
            kind: NoticeKind::Advanced,
            severity: Severity::Info,
            message: "Advance shop.demo canary weight 2.5".to_owned(),
            phase: Phase::Progressing,
            weight: Weight::from_basis_points(250).expect("a weight"),
            verdict: None,
        };
        let line = serde_json::to_string(&Lines::of("errors").line(&notice)).expect("serializable");
        let expected = r#"{"release":"errors","at":"1970-01-01T00:00:00Z","kind":"Advanced","severity":"info","message":"Advance shop.demo canary weight 2.5","phase":"Progressing","weightPercent":2.5}"#;
        assert_eq!(line, expected);
    }
}
