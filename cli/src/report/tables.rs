//! The tables of a release: decisions, failures by route and by upstream, and the numbers behind the charts.

use std::fmt::Write;

use serin_rollout::{Notice, NoticeKind, Severity, Verdict};
use serin_route::Track;

use super::bins::bins;
use super::charts::{NO_REPORT, failed};
use super::html::{Escaped, count, evidence, milliseconds, percent, seconds};
use crate::recording::{Recording, RouteRow, Tally, share};

/// All decisions in order, each with its evidence.
pub(crate) fn decisions(release: &Recording) -> String {
    if release.notices.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    let mut before = "";
    for notice in &release.notices {
        rows += &decision(release, notice, before);
        before = &notice.message;
    }
    let dropped = match release.notices_dropped {
        0 => String::new(),
        n => format!("<p>{} decisions in the middle are left out.</p>\n", count(n)),
    };
    let columns = ["Time", "Decision", "Weight", "What was said, and the evidence"];
    format!("<h3>Decisions</h3>\n{dropped}{}", table("decisions", &columns, &rows))
}

/// `before` is what the row above says.
fn decision(release: &Recording, notice: &Notice, before: &str) -> String {
    let (sign, class) = match (notice.severity, notice.kind) {
        (_, NoticeKind::Quarantined) => ("◆", "warn"),
        (Severity::Error, _) => ("✕", "error"),
        (Severity::Warn, _) => ("!", "warn"),
        (Severity::Info, NoticeKind::Promoted) => ("✓", "info"),
        (Severity::Info, _) => ("·", "info"),
    };
    format!(
        "<tr class=\"{class}\"><td class=\"number\">{}</td><td class=\"kind\"><span>{sign}</span> {}</td>\
         <td class=\"number\">{}</td><td>{}{}</td></tr>\n",
        seconds(release.seconds(notice.at)),
        kind(notice.kind),
        percent(share(notice.phase, notice.weight).fraction()),
        Escaped(&notice.message),
        notice.verdict.as_ref().map_or(String::new(), |it| said(it, &[before, &notice.message])),
    )
}

/// The evidence in words, unless a message has them already, and in numbers.
fn said(verdict: &Verdict, messages: &[&str]) -> String {
    let words = verdict.text.trim_end_matches('.').trim_start_matches("FAIL ");
    let told = messages.iter().any(|message| message.contains(words));
    let text = match verdict.text.trim_end_matches('.') {
        text if text.is_empty() || told => String::new(),
        text => format!("{text}."),
    };
    let waits = match verdict.waits_for.as_slice() {
        [] => String::new(),
        waits => format!(" Waits for {}.", waits.join(", ")),
    };
    format!(
        "<span class=\"evidence\">{}{} E {}, capped {}.</span>",
        Escaped(&text),
        Escaped(&waits),
        evidence(verdict.ln_e),
        evidence(verdict.ln_e_capped),
    )
}

fn kind(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Initialized => "ready",
        NoticeKind::RunStarted => "started",
        NoticeKind::RunRestarted => "restarted",
        NoticeKind::GateClosed => "gate closed",
        NoticeKind::CheckPassed => "check passed",
        NoticeKind::CheckFailed => "check failed",
        NoticeKind::Advanced => "advanced",
        NoticeKind::Quarantined => "quarantined",
        NoticeKind::Released => "released",
        NoticeKind::Held => "held",
        NoticeKind::RolledBack => "rolled back",
        NoticeKind::Promoting => "promoting",
        NoticeKind::Promoted => "promoted",
        NoticeKind::Warning => "warning",
    }
}

/// Failures by route and by upstream; nothing where nothing was counted.
pub(crate) fn failures(release: &Recording) -> String {
    let routes = release.failures.routes();
    let mut html = String::new();
    if !routes.is_empty() {
        let mut rows = String::new();
        for (name, canary, primary) in &routes {
            let _ = writeln!(
                rows,
                "<tr><th scope=\"row\">{}</th>{}{}</tr>",
                name.map_or("<em>all other routes</em>".into(), |name| Escaped(name).to_string()),
                cells(canary),
                cells(primary),
            );
        }
        let columns =
            ["Route", "Canary requests", "failed", "rate", "Primary requests", "failed", "rate"];
        html += "<h3>Failures by route</h3>\n";
        html += &table("routes", &columns, &rows);
    }
    let upstreams = release.failures.upstreams();
    if !upstreams.is_empty() {
        let mut rows = String::new();
        for (address, track, failures) in upstreams {
            let track = if track == Track::Canary { "● canary" } else { "○ primary" };
            let _ = writeln!(
                rows,
                "<tr><th scope=\"row\">{}</th><td>{track}</td><td class=\"number\">{}</td></tr>",
                Escaped(address),
                count(failures)
            );
        }
        html += "<h3>Failures by upstream</h3>\n";
        html += &table("upstreams", &["Address", "Track", "Failures"], &rows);
    }
    html
}

fn cells(row: &RouteRow) -> String {
    let rate = match row.requests {
        0 => "–".to_owned(),
        requests => percent(row.failures as f64 / requests as f64),
    };
    let resets = match row.resets {
        0 => String::new(),
        n => format!(" ({} without an answer)", count(n)),
    };
    format!(
        "<td class=\"number\">{}</td><td class=\"number\">{}{resets}</td><td class=\"number\">{rate}</td>",
        count(row.requests),
        count(row.failures),
    )
}

/// What the charts show, as a table to be opened.
pub(crate) fn numbers(release: &Recording) -> String {
    if release.points.is_empty() {
        return String::new();
    }
    let quantile = |tally: &Tally, q| {
        tally.quantile(&release.edges_ms, q).map_or("–".to_owned(), milliseconds)
    };
    let mut rows = String::new();
    for bin in bins(release) {
        let _ = write!(rows, "<tr><th scope=\"row\">{:.0}–{:.0} s</th>", bin.from_s, bin.to_s);
        for track in [Track::Canary, Track::Primary] {
            let tally = bin.tally(track);
            let latency = [0.5, 0.99].map(|q| quantile(tally, q)).join(" / ");
            let seen = if bin.is_silent() { NO_REPORT.to_owned() } else { failed(tally) };
            let _ = write!(rows, "<td>{seen}</td><td>{latency}</td>");
        }
        let e = [bin.point.ln_e, bin.point.ln_e_capped]
            .map(|ln_e| ln_e.map_or("–".to_owned(), evidence));
        let _ = writeln!(rows, "<td>{}</td></tr>", e.join(" / "));
    }
    let columns = [
        "Time",
        "Canary failed",
        "Canary p50 / p99",
        "Primary failed",
        "Primary p50 / p99",
        "E / capped",
    ];
    format!(
        "<details><summary>The numbers behind the charts</summary>\n{}</details>\n",
        table("numbers", &columns, &rows)
    )
}

fn table(class: &str, columns: &[&str], rows: &str) -> String {
    let mut head = String::new();
    for column in columns {
        let _ = write!(head, "<th scope=\"col\">{column}</th>");
    }
    format!(
        "<div class=\"scroll\"><table class=\"{class}\">\n<thead><tr>{head}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}
