//! Reading a table: structure, bounds and meaning, all problems at once.

mod affinity;
mod reader;
mod rollout;
mod rule;
mod text;

use serde_json::Value;

use self::reader::{Object, Reader, Unique};
use self::rollout::rollout;
use crate::matcher::Patterns;
use crate::problem::Problems;
use crate::{Reports, Rollout, Side, Table, VERSION};

/// Ten times what fits into a Kubernetes object.
const TABLE_BYTES_MAX: usize = 16 << 20;
const ROLLOUTS_MAX: usize = 10_000;

/// A table and its compiled patterns.
pub(crate) fn table(json: &[u8]) -> Result<(Table, Patterns), Problems> {
    let mut reader = Reader::default();
    let table = parsed(&mut reader, json).and_then(|value| whole(&mut reader, &value));
    if reader.problems.is_empty() {
        return Ok((table.unwrap_or_default(), reader.patterns));
    }
    Err(reader.problems)
}

/// None if there is nothing to read, or a problem.
fn parsed(reader: &mut Reader, json: &[u8]) -> Option<Value> {
    if json.len() > TABLE_BYTES_MAX {
        let rule = format!("at most {TABLE_BYTES_MAX} bytes are allowed, not {}", json.len());
        reader.problem(rule);
        return None;
    }
    if json.trim_ascii().is_empty() {
        return None;
    }
    serde_json::from_slice(json)
        .map_err(|error| reader.problem(format!("is no JSON: {error}")))
        .ok()
}

fn whole(reader: &mut Reader, value: &Value) -> Option<Table> {
    // What Istio makes of a plugin without a config.
    if value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) {
        return None;
    }
    let object = reader.object(value)?;
    let version = reader.required_integer(object, "version", 0..=u32::MAX.into());
    if reader.problems.is_empty() && version != u64::from(VERSION) {
        // Whatever else looks wrong may be right in that version.
        let rule = format!("this filter speaks version {VERSION}, the table is version {version}");
        reader.problem_at("version", rule);
        return None;
    }
    Some(Table {
        version: VERSION,
        scope: reader.required_text(object, "scope", &text::SCOPE),
        side: reader.optional(object, "side", side).unwrap_or_default(),
        claim: reader.flag(object, "claim", false),
        reports: reader.optional(object, "reports", reports).flatten(),
        rollouts: rollouts(reader, object),
    })
}

fn rollouts(reader: &mut Reader, object: &Object) -> Vec<Rollout> {
    let (mut names, mut clusters) = (Unique::default(), Unique::default());
    let read = |reader: &mut Reader, value: &Value| {
        reader.list(value, ROLLOUTS_MAX, |it, value| rollout(it, value, &mut names, &mut clusters))
    };
    reader.optional(object, "rollouts", read).unwrap_or_default()
}

fn side(reader: &mut Reader, value: &Value) -> Side {
    reader.word(value, &[("client", Side::Client), ("server", Side::Server)])
}

fn reports(reader: &mut Reader, value: &Value) -> Option<Reports> {
    let object = reader.object(value)?;
    let path = reader.required_text(object, "path", &text::VALUE);
    if !path.is_empty() && !path.starts_with('/') {
        reader.problem_at("path", "must begin with /");
    }
    Some(Reports {
        cluster: reader.required_text(object, "cluster", &text::VALUE),
        authority: reader.required_text(object, "authority", &text::VALUE),
        path,
        token: reader.optional_text(object, "token", &text::TOKEN).unwrap_or_default(),
        period_ms: reader
            .optional_u32(object, "periodMs", 100..=60_000)
            .unwrap_or(Reports::PERIOD_MS),
    })
}
