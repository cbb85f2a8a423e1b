//! The demo, several times: every run is told, and what was promised of them is held against the figures.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{demo::Parts, run::say};

/// Longer takes no run.
const RUN_MAX: Duration = Duration::from_mins(3);
/// Every release, and how it should end.
const RELEASES: [(&str, &str); 3] =
    [("healthy", "promoted"), ("errors", "rolled-back"), ("slow", "rolled-back")];
/// What is promised, in seconds from the canary's first request.
const PROMISES: [Promise; 6] = [
    Promise { release: "errors", what: What::Quarantine, at_most: 3.0, of: Share::Median },
    Promise { release: "errors", what: What::Quarantine, at_most: 5.0, of: Share::NineOfTen },
    Promise { release: "errors", what: What::Rollback, at_most: 15.0, of: Share::Median },
    Promise { release: "errors", what: What::Rollback, at_most: 30.0, of: Share::All },
    Promise { release: "slow", what: What::Quarantine, at_most: 5.0, of: Share::Median },
    Promise { release: "slow", what: What::Rollback, at_most: 30.0, of: Share::All },
];

/// One run.
struct Run {
    took: Duration,
    /// Why the demo says that it went wrong; none if it ended as it should.
    complaint: Option<String>,
    releases: Vec<Release>,
}

/// One release of one run.
struct Release {
    name: String,
    /// None if it came to no end.
    outcome: Option<String>,
    quarantine: Option<f64>,
    rollback: Option<f64>,
    failed_otherwise: u64,
}

struct Promise {
    release: &'static str,
    what: What,
    at_most: f64,
    of: Share,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Quarantine,
    Rollback,
}

#[derive(Clone, Copy, Debug)]
enum Share {
    Median,
    NineOfTen,
    All,
}

/// Runs the demo so often; an error names everything that was not as promised.
#[expect(clippy::print_stdout, reason = "the figures are the chore's result")]
pub(super) fn run_demo(parts: &Parts, count: u32) -> Result<()> {
    let mut runs = Vec::new();
    for round in 1..=count {
        let run = one(parts, round)?;
        say(&format!("run {round} of {count}: {}", run.line()));
        runs.push(run);
    }
    for (name, _) in RELEASES {
        println!("{}", summary(name, &runs));
    }
    let mut missed = faults(&runs);
    for promise in PROMISES {
        let (kept, words) = promise.judge(&runs);
        println!("{} {words}", if kept { "kept  " } else { "MISSED" });
        missed.extend((!kept).then_some(words));
    }
    if missed.is_empty() {
        return Ok(());
    }
    bail!("not as promised:\n{}", missed.join("\n"))
}

fn one(parts: &Parts, seed: u32) -> Result<Run> {
    let began = Instant::now();
    let output = parts
        .serin()
        .args(["demo", "--output", "json", "--seed"])
        .arg(seed.to_string())
        .output()
        .context("`serin demo` could not be started")?;
    let complaint = (!output.status.success()).then(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        format!("`serin demo` ended with {}: {last}", output.status)
    });
    let releases = parse(&String::from_utf8_lossy(&output.stdout));
    Ok(Run { took: began.elapsed(), complaint, releases })
}

/// The last line of each release; all others are notices.
fn parse(lines: &str) -> Vec<Release> {
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| release(&line)).collect()
}

fn release(line: &Value) -> Option<Release> {
    Some(Release {
        name: line.get("release")?.as_str()?.to_owned(),
        outcome: line.get("outcome")?.as_str().map(str::to_owned),
        quarantine: line.get("seconds_to_quarantine")?.as_f64(),
        rollback: line.get("seconds_to_rollback")?.as_f64(),
        failed_otherwise: line.get("failed_otherwise")?.as_u64()?,
    })
}

impl Run {
    fn line(&self) -> String {
        let of = |release: &Release| {
            let seconds = |at: Option<f64>| at.map_or("-".to_owned(), |at| format!("{at:.1} s"));
            format!(
                "{} {} ({}, {})",
                release.name,
                release.outcome.as_deref().unwrap_or("without an end"),
                seconds(release.quarantine),
                seconds(release.rollback),
            )
        };
        let releases: Vec<String> = self.releases.iter().map(of).collect();
        format!("{:.0} s, {}", self.took.as_secs_f64(), releases.join(", "))
    }
}

/// What went wrong in a run by itself.
fn faults(runs: &[Run]) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, run) in (1..).zip(runs) {
        faults.extend(run.complaint.iter().map(|complaint| format!("run {number}: {complaint}")));
        if run.took > RUN_MAX {
            faults.push(format!("run {number} took {:.0} s", run.took.as_secs_f64()));
        }
        for (name, expected) in RELEASES {
            let found: Vec<&Release> = run.releases.iter().filter(|it| it.name == name).collect();
            match found.as_slice() {
                [release] if release.outcome.as_deref() == Some(expected) => {}
                [release] => faults.push(format!(
                    "run {number}: {name} was {:?}, not {expected}",
                    release.outcome
                )),
                others => {
                    faults.push(format!("run {number}: {name} was told {} times", others.len()));
                }
            }
            let failed: u64 = found.iter().map(|release| release.failed_otherwise).sum();
            if failed > 0 {
                let text = "requests failed that the app did not fail";
                faults.push(format!("run {number}: {name}: {failed} {text}"));
            }
        }
    }
    faults
}

impl Promise {
    /// Whether it was kept, in words with the figure. What never happened was not in time.
    fn judge(&self, runs: &[Run]) -> (bool, String) {
        let seconds = seconds(self.release, self.what, runs);
        let in_time = seconds.iter().filter(|seconds| **seconds <= self.at_most).count();
        let n = seconds.len();
        let kept = match self.of {
            Share::Median => median(&seconds) <= self.at_most,
            Share::NineOfTen => n > 0 && in_time * 10 >= n * 9,
            Share::All => n > 0 && in_time == n,
        };
        let Self { release, what, at_most, of } = self;
        let words = format!(
            "{release}: {what:?} within {at_most} s, {of:?}: median {:.1} s, {in_time} of {n}",
            median(&seconds)
        );
        (kept, words)
    }
}

/// A figure of one release in all runs, in order; infinite where there is none.
fn seconds(name: &str, what: What, runs: &[Run]) -> Vec<f64> {
    let of = |run: &Run| {
        let release = run.releases.iter().find(|release| release.name == name)?;
        match what {
            What::Quarantine => release.quarantine,
            What::Rollback => release.rollback,
        }
    };
    let mut seconds: Vec<f64> = runs.iter().map(|run| of(run).unwrap_or(f64::INFINITY)).collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

fn median(sorted: &[f64]) -> f64 {
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::INFINITY);
    match sorted.len() {
        0 => f64::INFINITY,
        n if n.is_multiple_of(2) => f64::midpoint(at(n / 2 - 1), at(n / 2)),
        n => at(n / 2),
    }
}

fn summary(name: &str, runs: &[Run]) -> String {
    let of: Vec<&Release> =
        runs.iter().flat_map(|run| &run.releases).filter(|release| release.name == name).collect();
    let outcomes =
        |outcome| of.iter().filter(|release| release.outcome.as_deref() == outcome).count();
    let failed: u64 = of.iter().map(|release| release.failed_otherwise).sum();
    format!(
        "{name:8} runs {} promoted {} rolled back {} without an end {} | quarantine {} | \
         rollback {} | failed otherwise {failed}",
        runs.len(),
        outcomes(Some("promoted")),
        outcomes(Some("rolled-back")),
        outcomes(None),
        spread(of.iter().filter_map(|release| release.quarantine).collect()),
        spread(of.iter().filter_map(|release| release.rollback).collect()),
    )
}

/// Median, second largest and largest.
fn spread(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let at = |index: usize| seconds.get(index).copied().unwrap_or(f64::NAN);
    match seconds.len() {
        0 => "-".to_owned(),
        n => format!(
            "median {:.1} s, second worst {:.1} s, worst {:.1} s",
            median(&seconds),
            at(n.saturating_sub(2)),
            at(n - 1)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose releases ended so: name, outcome, quarantine, rollback.
    fn run(releases: &[(&str, &str, &str, &str)]) -> Run {
        let lines: Vec<String> = releases
            .iter()
            .map(|(name, outcome, quarantine, rollback)| {
                format!(
                    r#"{{"release":"{name}","outcome":{outcome},"seconds_to_quarantine":{quarantine},
                    "seconds_to_rollback":{rollback},"requests":9,"failed_by_app":0,"failed_otherwise":0}}"#
                )
                .replace('\n', "")
            })
            .collect();
        let releases = parse(&lines.join("\n"));
        Run { took: Duration::from_secs(100), complaint: None, releases }
    }

    fn good() -> Run {
        run(&[
            ("healthy", "\"promoted\"", "null", "null"),
            ("errors", "\"rolled-back\"", "2.5", "9.0"),
            ("slow", "\"rolled-back\"", "4.0", "20.0"),
        ])
    }

    fn missed(runs: &[Run]) -> usize {
        PROMISES.iter().filter(|promise| !promise.judge(runs).0).count()
    }

    #[test]
    fn runs_as_promised_have_no_fault() {
        let runs = [good(), good()];
        assert_eq!((faults(&runs), missed(&runs)), (Vec::new(), 0));
        assert_eq!(missed(&[]), PROMISES.len(), "nothing shows nothing");
    }

    #[test]
    fn a_release_without_an_end_is_a_fault_and_late_for_ever() {
        let stuck = run(&[
            ("healthy", "\"promoted\"", "null", "null"),
            ("errors", "null", "null", "null"),
            ("slow", "\"promoted\"", "4.0", "null"),
        ]);
        let runs = [good(), good(), stuck];
        let expected = [
            "run 3: errors was None, not rolled-back",
            "run 3: slow was Some(\"promoted\"), not rolled-back",
        ];
        assert_eq!(faults(&runs), expected);
        assert_eq!(missed(&runs), 3, "two for all, one for nine of ten; the medians hold");
    }

    #[test]
    fn a_complaint_a_long_run_and_a_missing_release_are_faults() {
        let mut bad = run(&[("healthy", "\"promoted\"", "null", "null")]);
        bad.took = RUN_MAX + Duration::from_secs(1);
        bad.complaint = Some("`serin demo` ended with 1".to_owned());
        assert_eq!(faults(&[bad]).len(), 4);
        let mut failing = good();
        failing.releases[0].failed_otherwise = 2;
        assert_eq!(faults(&[failing]).len(), 1);
    }
}
