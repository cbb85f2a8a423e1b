//! Numbers as people write them: durations, percentages, counts.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::field::Field;
use crate::{Problems, parse_duration};

/// A duration, if there is one and it is one.
pub(super) fn duration(
    text: Option<&str>,
    field: &Field,
    problems: &mut Problems,
) -> Option<Duration> {
    parse_duration(text?).map_err(|error| problems.add(field, error.to_string())).ok()
}

/// As [`duration`], not zero.
pub(crate) fn positive_duration(
    text: Option<&str>,
    field: &Field,
    problems: &mut Problems,
) -> Option<Duration> {
    let duration = duration(text, field, problems)?;
    if duration.is_zero() {
        problems.add(field, "must be longer than 0s");
        return None;
    }
    Some(duration)
}

/// A duration of whole milliseconds, at least one.
pub(super) fn milliseconds(text: &str, field: &Field, problems: &mut Problems) -> Option<u32> {
    let duration = positive_duration(Some(text), field, problems)?;
    let millis = u32::try_from(duration.as_millis()).ok();
    let whole = millis.filter(|millis| Duration::from_millis((*millis).into()) == duration);
    if whole.is_none() {
        problems.add(field, format!("must be whole milliseconds, at most 1193h, not {text:?}"));
    }
    whole
}

/// A whole number within bounds.
pub(crate) fn whole<T: TryFrom<i64>>(
    number: i64,
    range: RangeInclusive<i64>,
    field: &Field,
    problems: &mut Problems,
) -> Option<T> {
    if !range.contains(&number) {
        let (low, high) = range.into_inner();
        problems.add(field, format!("must be from {low} to {high}, not {number}"));
        return None;
    }
    T::try_from(number).ok()
}

/// A number strictly between two bounds.
pub(super) fn between(
    number: Option<f64>,
    (low, high): (f64, f64),
    field: &Field,
    problems: &mut Problems,
) -> Option<f64> {
    let number = number?;
    if number > low && number < high {
        return Some(number);
    }
    problems.add(field, format!("must be above {low} and below {high}, not {number}"));
    None
}
