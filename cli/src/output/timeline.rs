//! A timeline on the standard output: one line for each decision, its evidence below, and, on a terminal, a last line
//! that tells what is going on now.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use serin_rollout::{Notice, NoticeKind, Severity, Status, VerdictState};
use serin_route::Track;

use super::text::{Sum, bar, cut, tame, wrap};
use super::{Moment, Paint, Sink};

/// The columns left of a message: time, phase, bar, weight.
const INDENT: usize = 45;
/// Where the width of the terminal is not known.
const COLUMNS: usize = 120;
/// The live line is written again after this time at the earliest.
const LIVE_EVERY: Duration = Duration::from_millis(100);

/// Prints a release as it goes.
#[derive(Debug)]
pub struct Timeline {
    paint: Paint,
    columns: usize,
    live: bool,
    /// The live line is on the screen now.
    shown: bool,
    began: Option<Timestamp>,
    last_live: Option<Timestamp>,
    /// Evidence that was printed last; it is not repeated.
    evidence: String,
}

impl Timeline {
    /// On the standard output, in colour and live if that is a terminal.
    pub fn on_stdout() -> Self {
        let out = std::io::stdout();
        Self {
            paint: Paint::of(&out),
            columns: columns(),
            live: out.is_terminal(),
            shown: false,
            began: None,
            last_live: None,
            evidence: String::new(),
        }
    }

    /// The lines for a notice, without line ends.
    fn lines(&mut self, notice: &Notice) -> Vec<String> {
        let mark = mark(notice);
        let at = self.seconds(notice.at);
        let phase = format!("{:?}", notice.phase);
        let head = format!(
            "{at:>7.1}s  {phase:<16} {}  {:>5} ",
            bar(notice.weight),
            notice.weight.to_string()
        );
        let width = self.columns.saturating_sub(INDENT).max(30);
        let message = format!("{mark}{}", tame(&notice.message));
        let mut lines = Vec::new();
        for (index, part) in wrap(&message, width).into_iter().enumerate() {
            let part = self.tone(notice, &part);
            let head = if index == 0 { head.clone() } else { " ".repeat(INDENT) };
            lines.push(format!("{head}{part}"));
        }
        let evidence =
            notice.verdict.as_ref().map(|verdict| tame(&verdict.text)).unwrap_or_default();
        let told = message.contains(&evidence) || evidence == self.evidence;
        for part in wrap(&evidence, width.saturating_sub(2)).iter().filter(|_| !told) {
            lines.push(format!("{}  {}", " ".repeat(INDENT), self.paint.dim(part)));
        }
        self.evidence = evidence;
        lines
    }

    fn tone(&self, notice: &Notice, text: &str) -> String {
        match notice.kind {
            NoticeKind::Promoted => self.paint.good(text),
            _ => self.paint.severity(notice.severity, text),
        }
    }

    fn live_line(&self, moment: &Moment<'_>) -> String {
        let Some(run) = &moment.status.run else { return "waiting".to_owned() };
        let sum = |track| Sum::of(moment.traffic, track);
        let mut line = format!(
            "{:>7.1}s  {:<16} {}  {:>5} failed: canary {}, primary {}",
            self.seconds(moment.now),
            format!("{:?}", moment.status.phase),
            bar(run.weight),
            run.weight.to_string(),
            sum(Track::Canary).ratio(),
            sum(Track::Primary).ratio(),
        );
        if let Some(waits) = waits(moment.status, moment) {
            line = format!("{line}; waits for {}", tame(&waits));
        }
        cut(&line, self.columns.saturating_sub(1))
    }

    fn seconds(&self, at: Timestamp) -> f64 {
        self.began.map_or(0.0, |began| at.duration_since(began).as_secs_f64().max(0.0))
    }

    fn write(&mut self, text: &str, stays: bool) {
        let mut out = std::io::stdout().lock();
        let clear = if self.shown { "\r\u{1b}[2K" } else { "" };
        // A reader that has gone away stops no release.
        let _ = write!(out, "{clear}{text}");
        let _ = out.flush();
        self.shown = !stays;
    }
}

impl Sink for Timeline {
    fn notice(&mut self, notice: &Notice) {
        self.began.get_or_insert(notice.at);
        let mut text = self.lines(notice).join("\n");
        text.push('\n');
        self.write(&text, true);
    }

    fn moment(&mut self, moment: &Moment<'_>) {
        self.began.get_or_insert(moment.now);
        if !self.live {
            return;
        }
        let early = |last| moment.now.duration_since(last).unsigned_abs() < LIVE_EVERY;
        if self.shown && self.last_live.is_some_and(early) {
            return;
        }
        self.last_live = Some(moment.now);
        let line = self.paint.dim(&self.live_line(moment));
        self.write(&line, false);
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        if self.shown {
            self.write("", true);
        }
    }
}

/// A sign for those who see no colours.
fn mark(notice: &Notice) -> &'static str {
    match (notice.kind, notice.severity) {
        (NoticeKind::Promoted, _) => "✔ ",
        (NoticeKind::RolledBack, _) | (_, Severity::Error) => "✖ ",
        (_, Severity::Warn) => "! ",
        (_, Severity::Info) => "",
    }
}

fn waits(status: &Status, moment: &Moment<'_>) -> Option<String> {
    let verdict = moment.verdict.or(status.run.as_ref()?.verdict.as_ref())?;
    let list = verdict.waits_for.join(", ");
    (verdict.state != VerdictState::Fail && !list.is_empty()).then_some(list)
}

/// The terminal's width.
fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    told.or_else(terminal_columns).filter(|columns| *columns >= 40).unwrap_or(COLUMNS)
}

fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    use serin_rollout::Phase;
    use serin_route::Weight;

    use super::*;

    fn timeline(columns: usize) -> Timeline {
        Timeline {
            paint: Paint::Plain,
            columns,
            live: false,
            shown: false,
            began: Some(Timestamp::UNIX_EPOCH),
            last_live: None,
            evidence: String::new(),
        }
    }

    fn notice(kind: NoticeKind, severity: Severity, message: &str) -> Notice {
        Notice {
            at: Timestamp::from_second(12).unwrap(),
            kind,
            severity,
            message: message.to_owned(),
            phase: Phase::Progressing,
            weight: Weight::from_percent(25),
            verdict: None,
        }
    }

    #[test]
    fn a_decision_is_one_line() {
        let line = timeline(120).lines(&notice(NoticeKind::Advanced, Severity::Info, "Advance"));
        assert_eq!(line, ["   12.0s  Progressing      ██▌·······    25% Advance"]);
    }

    #[test]
    fn a_bad_one_has_a_sign_and_long_ones_are_indented() {
        let text = "a message that is much longer than the thirty columns it has";
        let lines = timeline(80).lines(&notice(NoticeKind::RolledBack, Severity::Error, text));
        assert!(lines[0].ends_with("25% ✖ a message that is much longer"), "{lines:?}");
        assert_eq!(lines[1], format!("{}than the thirty columns it has", " ".repeat(INDENT)));
    }
}
