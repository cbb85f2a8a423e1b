//! What a release of the demo came to: one line for machines, one row for people.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::load::Counts;
use crate::local::Ending;

/// A release's last line of JSON. The fields, their names and their order are an interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// Which.
    pub(crate) release: &'static str,
    /// How it ended; none if it did not.
    pub(crate) outcome: Option<Ending>,
    /// From Envoy's first canary request until every VM acknowledged the cut weight.
    pub(crate) seconds_to_quarantine: Option<f64>,
    /// From Envoy's first canary request until every VM acknowledged weight 0.
    pub(crate) seconds_to_rollback: Option<f64>,
    /// Sent while it ran.
    pub(crate) requests: u64,
    /// Failed on purpose, as their answers say.
    pub(crate) failed_by_app: u64,
    /// Failed for any other reason.
    pub(crate) failed_otherwise: u64,
}

/// The moments that a release is measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moments {
    /// The canary's first request arrived.
    pub(crate) first_request: Option<Timestamp>,
    /// Every VM showed the cut weight.
    pub(crate) quarantined: Option<Timestamp>,
    /// Every VM showed weight 0.
    pub(crate) rolled_back: Option<Timestamp>,
}

impl Summary {
    pub(crate) fn new(
        release: &'static str,
        outcome: Option<Ending>,
        moments: Moments,
        counts: &Counts,
    ) -> Self {
        let since_first = |at: Option<Timestamp>| {
            let seconds = at?.duration_since(moments.first_request?).as_secs_f64();
            Some((seconds.max(0.0) * 1000.0).round() / 1000.0)
        };
        Self {
            release,
            outcome,
            seconds_to_quarantine: since_first(moments.quarantined),
            seconds_to_rollback: since_first(moments.rolled_back),
            requests: counts.requests,
            failed_by_app: counts.failed_by_app,
            failed_otherwise: counts.failed_otherwise,
        }
    }
}

/// A table for people, numbers to the right.
pub(crate) fn table(summaries: &[Summary]) -> String {
    let heads = [
        "release",
        "outcome",
        "quarantined",
        "rolled back",
        "requests",
        "failed by app",
        "otherwise",
    ];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(summaries.iter().map(row));
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..heads.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut table = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 | 1 => write!(line, "{cell:<width$}  "),
                _ => write!(line, "{cell:>width$}  "),
            };
        }
        let _ = writeln!(table, "{}", line.trim_end());
    }
    table
}

fn row(summary: &Summary) -> [String; 7] {
    let seconds = |value: Option<f64>| value.map_or("–".to_owned(), |s| format!("{s:.1} s"));
    [
        summary.release.to_owned(),
        ending(summary.outcome).to_owned(),
        seconds(summary.seconds_to_quarantine),
        seconds(summary.seconds_to_rollback),
        summary.requests.to_string(),
        summary.failed_by_app.to_string(),
        summary.failed_otherwise.to_string(),
    ]
}

fn ending(outcome: Option<Ending>) -> &'static str {
    match outcome {
        Some(Ending::Promoted) => "promoted",
        Some(Ending::RolledBack) => "rolled back",
        None => "not finished",
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn summary() -> Summary {
        let first = Timestamp::from_second(1_800_000_000).expect("in range");
        let moments = Moments {
            first_request: Some(first),
            quarantined: Some(first + SignedDuration::from_millis(1_234)),
            rolled_back: Some(first + SignedDuration::from_micros(11_500_400)),
        };
        let counts = Counts { requests: 2400, failed_by_app: 31, ..Counts::default() };
        Summary::new("errors", Some(Ending::RolledBack), moments, &counts)
    }

    #[test]
    fn the_line_is_exactly_this() {
        let line = serde_json::to_string(&summary()).expect("serializable");
        let expected = r#"{"release":"errors","outcome":"rolled-back","seconds_to_quarantine":1.234,"seconds_to_rollback":11.5,"requests":2400,"failed_by_app":31,"failed_otherwise":0}"#;
        assert_eq!(line, expected);
        let nothing =
            Summary::new("healthy", Some(Ending::Promoted), Moments::default(), &Counts::default());
        let line = serde_json::to_string(&nothing).expect("serializable");
        let expected = r#"{"release":"healthy","outcome":"promoted","seconds_to_quarantine":null,"seconds_to_rollback":null,"requests":0,"failed_by_app":0,"failed_otherwise":0}"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn the_table_is_aligned() {
        let healthy = Summary::new("healthy", None, Moments::default(), &Counts::default());
        let expected = "\
release  outcome       quarantined  rolled back  requests  failed by app  otherwise
errors   rolled back         1.2 s       11.5 s      2400             31          0
healthy  not finished            –            –         0              0          0
";
        assert_eq!(table(&[summary(), healthy]), expected);
    }
}
