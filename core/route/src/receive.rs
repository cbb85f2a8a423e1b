//! Reading a report: it comes over the network, so every list and string is bounded and no count contradicts another.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

use crate::{Cell, GenerationReport, Keyed, Latency, Report, RolloutReport, VERSION};

/// As much as the largest table.
const REPORT_BYTES_MAX: usize = 16 << 20;
/// The largest table's, and as many again that have ended.
const ROLLOUTS_MAX: usize = 20_000;
const GENERATIONS_MAX: usize = 256;
const EDGES_MAX: usize = 64;
/// Two tracks, four assignments, 16 named routes and the rest.
const CELLS_MAX: usize = 2 * 4 * 17;
const UPSTREAMS_MAX: usize = 16;
const FAILED_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 512;
const PROBLEM_BYTES_MAX: usize = 32 << 10;
/// Counts stay exact in JSON and as floats, and sums of them in a `u64`.
const COUNT_MAX: u64 = 1 << 53;

/// Why a report is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportError {
    /// It has this many bytes, more than 16 MiB.
    TooLarge(usize),
    /// It is no JSON, or not of a report's shape.
    Malformed(String),
    /// It speaks this version.
    Version(u64),
    /// It breaks a rule.
    Broken {
        /// Where: `rollouts[0].generations[1].cells[2]`.
        path: String,
        /// The rule, and the value that breaks it.
        rule: String,
    },
}

impl Report {
    /// Reads a report. What comes back keeps every bound of this module's, so that whoever adds counts up cannot
    /// overflow and whoever shows a name shows no control characters.
    pub fn parse(json: &[u8]) -> Result<Self, ReportError> {
        if json.len() > REPORT_BYTES_MAX {
            return Err(ReportError::TooLarge(json.len()));
        }
        let report: Self = match serde_json::from_slice(json) {
            Ok(report) => report,
            Err(error) => return Err(malformed(json, &error)),
        };
        if report.version != VERSION {
            return Err(ReportError::Version(report.version.into()));
        }
        match whole(&report) {
            Ok(()) => Ok(report),
            Err(Broken { path, rule }) => Err(ReportError::Broken { path, rule }),
        }
    }
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => {
                write!(f, "a report has at most {REPORT_BYTES_MAX} bytes, not {bytes}")
            }
            Self::Malformed(error) => write!(f, "not a report: {error}"),
            Self::Version(version) => {
                write!(f, "this receiver speaks version {VERSION}, the report is version {version}")
            }
            Self::Broken { path, rule } => write!(f, "{path}: {rule}"),
        }
    }
}

impl std::error::Error for ReportError {}

/// Another version may have another shape: the version is the better answer then.
fn malformed(json: &[u8], error: &serde_json::Error) -> ReportError {
    #[derive(Deserialize)]
    struct Spoken {
        version: u64,
    }
    match serde_json::from_slice(json) {
        Ok(Spoken { version }) if version != u64::from(VERSION) => ReportError::Version(version),
        _ => ReportError::Malformed(error.to_string()),
    }
}

struct Broken {
    path: String,
    rule: String,
}

type Kept = Result<(), Broken>;

fn whole(report: &Report) -> Kept {
    name("scope", &report.scope)?;
    name("proxy", &report.proxy)?;
    name("namespace", &report.namespace)?;
    let boot = report.boot.len() == 16 && report.boot.bytes().all(|it| it.is_ascii_hexdigit());
    keep(boot, "boot", || "must be 16 hexadecimal digits".to_owned())?;
    count("sequence", report.sequence)?;
    if let Some(problem) = &report.problem {
        at_most("problem", PROBLEM_BYTES_MAX, problem.len())?;
    }
    let key = |it: &RolloutReport| (it.namespace.clone(), it.name.clone(), it.run.clone());
    each("rollouts", ROLLOUTS_MAX, &report.rollouts, key, rollout)
}

fn rollout(report: &RolloutReport) -> Kept {
    name("name", &report.name)?;
    name("namespace", &report.namespace)?;
    name("run", &report.run)?;
    count("generation", report.generation)?;
    each("generations", GENERATIONS_MAX, &report.generations, |it| it.generation, generation)
}

fn generation(report: &GenerationReport) -> Kept {
    count("generation", report.generation)?;
    at_most("edgesMs", EDGES_MAX, report.edges_ms.len())?;
    let rising = report.edges_ms.is_sorted_by(|one, next| one < next);
    keep(rising, "edgesMs", || "must rise".to_owned())?;
    count("mismatched", report.mismatched)?;
    let key = |it: &Cell| (it.track, it.assignment, it.route.clone());
    let lengths = report.edges_ms.len().saturating_add(1);
    each("cells", CELLS_MAX, &report.cells, key, |it| cell(it, lengths))?;
    each("keyed", 2, &report.keyed, |it| it.track, keyed)
}

fn cell(cell: &Cell, lengths: usize) -> Kept {
    name("route", cell.route.as_deref().unwrap_or_default())?;
    for (path, value) in [
        ("requests", cell.requests),
        ("retries", cell.retries),
        ("abandoned", cell.abandoned),
        ("upgraded", cell.upgraded),
    ] {
        count(path, value)?;
    }
    among("failures", cell.failures, "requests", cell.requests)?;
    among("resets", cell.resets, "failures", cell.failures)?;
    latency(&cell.latency, lengths).map_err(|broken| broken.within("latency"))?;
    each(
        "upstreams",
        UPSTREAMS_MAX,
        &cell.upstreams,
        |it| it.address.clone(),
        |upstream| {
            name("address", &upstream.address)?;
            among("failures", upstream.failures, "the cell's", cell.failures)
        },
    )
}

fn latency(latency: &Latency, lengths: usize) -> Kept {
    for (path, counts) in [("done", &latency.done), ("censored", &latency.censored)] {
        at_most(path, lengths, counts.len())?;
        counts.iter().try_for_each(|value| count(path, *value))?;
    }
    Ok(())
}

fn keyed(keyed: &Keyed) -> Kept {
    count("atRisk", keyed.at_risk)?;
    each("failed", FAILED_MAX, &keyed.failed, |it| *it, |_| Ok(()))
}

/// A list of bounded length, each of its elements once and well.
fn each<T, K: Ord>(
    path: &str,
    max: usize,
    elements: &[T],
    key: impl Fn(&T) -> K,
    check: impl Fn(&T) -> Kept,
) -> Kept {
    at_most(path, max, elements.len())?;
    let mut seen = BTreeSet::new();
    for (index, element) in elements.iter().enumerate() {
        let place = || format!("{path}[{index}]");
        check(element).map_err(|broken| broken.within(&place()))?;
        keep(seen.insert(key(element)), "", || "is there already".to_owned())
            .map_err(|broken| broken.within(&place()))?;
    }
    Ok(())
}

fn name(path: &str, text: &str) -> Kept {
    at_most(path, NAME_BYTES_MAX, text.len())?;
    let plain = !text.chars().any(char::is_control);
    keep(plain, path, || "must hold no control characters".to_owned())
}

fn at_most(path: &str, max: usize, given: usize) -> Kept {
    keep(given <= max, path, || format!("at most {max} are allowed, not {given}"))
}

fn count(path: &str, value: u64) -> Kept {
    keep(value <= COUNT_MAX, path, || format!("at most {COUNT_MAX} is allowed, not {value}"))
}

fn among(path: &str, part: u64, of: &str, all: u64) -> Kept {
    count(path, part)?;
    keep(part <= all, path, || format!("{part} cannot be more than {of}, {all}"))
}

fn keep(kept: bool, path: &str, rule: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(Broken { path: path.to_owned(), rule: rule() }) }
}

impl Broken {
    fn within(self, place: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{place}{dot}{}", self.path), rule: self.rule }
    }
}
