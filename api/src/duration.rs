//! Durations as Go writes them: `1m30s`, `500ms`, `2h`. Flagger's manifests are full of them.

use std::fmt;
use std::time::Duration;

/// Units and their nanoseconds, longest name first where one begins another.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is not numbers with units.
    #[error("must be a duration like 30s, 1m30s or 500ms, not {0:?}")]
    Syntax(String),
    /// A number has no unit.
    #[error("must name a unit (ms, s, m, h): {0:?} has none")]
    Unit(String),
    /// It is below zero.
    #[error("must not be negative: {0:?}")]
    Negative(String),
    /// It does not fit: more than 292 years.
    #[error("is too long: {0:?}")]
    Overflow(String),
}

/// Reads a duration as Go's `time.ParseDuration` does, except that negative ones are refused.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let syntax = || DurationError::Syntax(text.to_owned());
    if text.starts_with('-') {
        return Err(DurationError::Negative(text.to_owned()));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(syntax());
    }
    let overflow = || DurationError::Overflow(text.to_owned());
    let mut nanos = 0_u64;
    while !rest.is_empty() {
        let (term, after) = split_at(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, next) = split_at(after, |c| c.is_ascii_digit() || c == '.');
        if unit.is_empty() && !term.is_empty() {
            return Err(DurationError::Unit(text.to_owned()));
        }
        let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(syntax)?.1;
        let (whole, fraction) = term.split_once('.').unwrap_or((term, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(syntax());
        }
        let value = scaled(whole, fraction, scale).ok_or_else(overflow)?;
        nanos = nanos.checked_add(value).ok_or_else(overflow)?;
        rest = next;
    }
    if nanos > i64::MAX.unsigned_abs() {
        return Err(overflow());
    }
    Ok(Duration::from_nanos(nanos))
}

/// Writes a duration shortly: `1m30s`, `500ms`, `1.5ms`, `0s`.
pub fn show_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 && nanos > 0 {
        let (scale, unit) = match nanos {
            1_000_000.. => (1_000_000, "ms"),
            1_000.. => (1_000, "µs"),
            _ => (1, "ns"),
        };
        return decimal(nanos / scale, nanos % scale, scale) + unit;
    }
    let mut text = String::new();
    for (value, unit) in [(seconds / 3600, "h"), (seconds / 60 % 60, "m")] {
        if value > 0 {
            text.extend([value.to_string().as_str(), unit]);
        }
    }
    if seconds % 60 > 0 || nanos > 0 || text.is_empty() {
        text.push_str(&decimal(seconds % 60, nanos, 1_000_000_000));
        text.push('s');
    }
    text
}

/// `whole` and `part / scale`, without trailing zeros.
fn decimal(whole: impl fmt::Display, part: u32, scale: u32) -> String {
    let digits = scale.ilog10() as usize;
    let fraction = format!(".{part:0digits$}");
    format!("{whole}{}", fraction.trim_end_matches('0').trim_end_matches('.'))
}

fn split_at(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

/// `whole.fraction × scale`; what is smaller than a nanosecond is cut.
fn scaled(whole: &str, fraction: &str, scale: u64) -> Option<u64> {
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let value = digits(whole)?.checked_mul(scale)?;
    let mut part = 0;
    let mut unit = scale;
    for digit in fraction.bytes() {
        unit /= 10;
        part += unit * u64::from(digit - b'0');
    }
    value.checked_add(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("2h", 7_200_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1.s", 1_000),
            ("+5s", 5_000),
            ("1h2m3s4ms", 3_723_004),
            ("5000us", 5),
            ("5000µs", 5),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for text in ["", "s", ".s", "1x", "1m foo", "1..5s", "one", "1 s", "+", "٣s"] {
            assert!(matches!(parse_duration(text), Err(DurationError::Syntax(_))), "{text}");
        }
        assert_eq!(parse_duration("30"), Err(DurationError::Unit("30".to_owned())));
        assert_eq!(parse_duration("1m30"), Err(DurationError::Unit("1m30".to_owned())));
        assert_eq!(parse_duration("-1s"), Err(DurationError::Negative("-1s".to_owned())));
        assert!(matches!(parse_duration("9999999h"), Err(DurationError::Overflow(_))));
        assert!(matches!(parse_duration("99999999999999999999s"), Err(DurationError::Overflow(_))));
    }

    #[test]
    fn durations_are_shown_shortly() {
        for text in [
            "0s",
            "500ms",
            "1.5s",
            "1m",
            "1m30s",
            "2h",
            "1h0.5s",
            "2.5ms",
            "10µs",
            "7ns",
            "1.000000001s",
        ] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(millis in 0_u64..1 << 40) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.nuµmsh]{0,12}|.*") {
            let _ = parse_duration(&text);
        }
    }
}
