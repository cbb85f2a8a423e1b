//! A timeline on the standard output: one line for each decision, its evidence below, and, on a terminal, a last line
//! that tells what is going on now.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use serin_rollout::{Notice, NoticeKind, Severity, Status, VerdictState};
use serin_route::Track;

use super::text::{Sum, bar, cut, tame, wrap};
use super::{Moment, Paint, Sink};
use crate::recording::share;

/// The columns left of a message: time, phase, bar, weight.
const INDENT: usize = 45;
/// On fewer columns the live line has no bar.
const COLUMNS_FOR_BAR: usize = 100;
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
    /// Evidence that was printed last, or the message that spoke of it; it is not repeated.
    evidence: String,
    message: String,
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
            message: String::new(),
        }
    }

    /// The lines for a notice, without line ends.
    fn lines(&mut self, notice: &Notice) -> Vec<String> {
        let mark = mark(notice);
        let at = self.seconds(notice.at);
        let phase = format!("{:?}", notice.phase);
        let weight = share(notice.phase, notice.weight);
        let head = format!("{at:>7.1}s  {phase:<16} {}  {:>5} ", bar(weight), weight.to_string());
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
        // The end of a release repeats what the line before it said.
        let words = evidence.trim_start_matches("FAIL ");
        let said = |message: &str| message.contains(words);
        let told = said(&message) || said(&self.message) || evidence == self.evidence;
        for part in wrap(&evidence, width.saturating_sub(2)).iter().filter(|_| !told) {
            lines.push(format!("{}  {}", " ".repeat(INDENT), self.paint.dim(part)));
        }
        self.evidence = evidence;
        self.message = message;
        lines
    }

    fn tone(&self, notice: &Notice, text: &str) -> String {
        match notice.kind {
            NoticeKind::Promoted => self.paint.good(text),
            _ => self.paint.severity(notice.severity, text),
        }
    }

    /// What it waits for comes first: the end is cut where the terminal is narrow.
    fn live_line(&self, moment: &Moment<'_>) -> String {
        let Some(run) = &moment.status.run else { return "waiting".to_owned() };
        let sum = |track| Sum::of(moment.traffic, track).ratio();
        let weight = share(moment.status.phase, run.weight);
        let bar = match self.columns {
            COLUMNS_FOR_BAR.. => format!("{}  ", bar(weight)),
            _ => String::new(),
        };
        let waits = waits(moment.status, moment)
            .map_or(String::new(), |waits| format!("waits for {}; ", tame(&waits)));
        let line = format!(
            "{:>7.1}s  {:<16} {bar}{:>5} {waits}failed: canary {}, primary {}",
            self.seconds(moment.now),
            format!("{:?}", moment.status.phase),
            weight.to_string(),
            sum(Track::Canary),
            sum(Track::Primary),
        );
        cut(&line, self.columns.saturating_sub(1))
    }

    fn seconds(&self, at: Timestamp) -> f64 {
        self.began.map_or(0.0, |began| at.duration_since(began).as_secs_f64().max(0.0))
    }

    /// Prints lines that stay, where the live line was.
    fn write(&mut self, text: &str) {
        let clear = if self.shown { "\r\u{1b}[1A\u{1b}[J" } else { "" };
        print(&format!("{clear}{text}"));
        self.shown = false;
    }

    /// Prints the live line anew. The cursor is kept on the line below it, where a person may be typing.
    fn write_live(&mut self, line: &str) {
        let text = if self.shown {
            format!("\u{1b}7\u{1b}[1A\r\u{1b}[2K{line}\u{1b}8")
        } else {
            format!("{line}\n")
        };
        print(&text);
        self.shown = true;
    }
}

impl Sink for Timeline {
    fn notice(&mut self, notice: &Notice) {
        self.began.get_or_insert(notice.at);
        let mut text = self.lines(notice).join("\n");
        text.push('\n');
        self.write(&text);
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
        self.write_live(&line);
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        if self.shown {
            self.write("");
        }
    }
}

/// A reader that has gone away stops no release.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{text}");
    let _ = out.flush();
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
            message: String::new(),
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

    #[test]
    fn what_was_promoted_has_all_traffic() {
        let mut promoted = notice(NoticeKind::Promoted, Severity::Info, "Promotion completed!");
        (promoted.phase, promoted.weight) = (Phase::Succeeded, Weight::ZERO);
        let line = timeline(120).lines(&promoted);
        assert_eq!(line, ["   12.0s  Succeeded        ██████████   100% ✔ Promotion completed!"]);
    }

    #[test]
    fn the_live_line_says_first_what_it_waits_for() {
        let run = serin_rollout::Run::default();
        let status = Status { phase: Phase::Progressing, run: Some(run), ..Status::default() };
        let verdict = crate::output::fixture::verdict(&["the interval (7 s)"]);
        let traffic = serin_rollout::Traffic::default();
        let now = Timestamp::UNIX_EPOCH;
        let moment = Moment { now, status: &status, traffic: &traffic, verdict: Some(&verdict) };
        let line = timeline(80).live_line(&moment);
        assert_eq!(
            line,
            "    0.0s  Progressing         0% waits for the interval (7 s); failed: canary …"
        );
    }

    #[test]
    fn the_evidence_of_an_end_is_told_once() {
        let mut timeline = timeline(200);
        let verdict = crate::output::fixture::verdict(&[]);
        let message = format!("Rolling back shop.demo {}", verdict.text);
        let told = timeline.lines(&notice(NoticeKind::Warning, Severity::Warn, &message));
        let mut end = notice(NoticeKind::RolledBack, Severity::Error, "Canary failed!");
        end.verdict = Some(verdict);
        assert_eq!((told.len(), timeline.lines(&end).len()), (1, 1));
    }
}
