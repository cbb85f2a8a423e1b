//! A series' name: its labels in front, `label=.=value;.;` each, so that once the proxy's tags have taken them out the
//! rest is exactly the metric's name.

use crate::Value;

/// Counts streams.
pub const REQUESTS: &str = "istio_requests_total";
/// How long they took, from their first byte to their last, in whole milliseconds.
pub const DURATION: &str = "istio_request_duration_milliseconds";

/// Series of one VM. No label is of a request's making, so a mesh does not come near this; Envoy never forgets a
/// series, so there is a bound. Streams beyond it are counted in one series whose labels all say so.
pub const SERIES_MAX: usize = 4_096;
/// What they say.
pub const OTHER: &str = "other";
/// Characters of a value: more than an identity has.
const VALUE_CHARS_MAX: usize = 300;

/// The names of all labels, in order.
pub fn tags() -> impl Iterator<Item = &'static str> {
    include_str!("../tags.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The part of a series' name that holds its labels.
pub fn prefix(labels: &[(&str, Value)]) -> String {
    let mut prefix = String::new();
    for (tag, value) in labels {
        prefix.extend([*tag, "=.=", &fit(value), ";.;"]);
    }
    prefix
}

/// Labels of the streams beyond the bound.
pub fn overflow() -> String {
    prefix(&tags().map(|tag| (tag, Value::Borrowed(OTHER))).collect::<Vec<_>>())
}

/// A value that neither ends its label nor breaks the lines that Prometheus reads.
fn fit(value: &str) -> String {
    let fit = |c: char| if c.is_ascii_graphic() && !";\"\\".contains(c) { c } else { '_' };
    value.chars().take(VALUE_CHARS_MAX).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_before_the_name() {
        let labels = [("reporter", "source".into()), ("grpc_response_status", "".into())];
        assert_eq!(prefix(&labels), "reporter=.=source;.;grpc_response_status=.=;.;");
    }

    #[test]
    fn no_value_ends_its_label() {
        let labels = [("source_app", "a;.;reporter=.=x\n\"é".into())];
        assert_eq!(prefix(&labels), "source_app=.=a_._reporter=.=x___;.;");
        assert!(prefix(&[("a", "x".repeat(9_999).into())]).len() < 400);
    }

    /// A tag's pattern is not anchored: one that ends another's name would find its value in it.
    #[test]
    fn no_tag_is_the_end_of_another() {
        let all: Vec<_> = tags().collect();
        assert_eq!(all.len(), 25);
        for tag in &all {
            let ends = all.iter().filter(|other| other.ends_with(tag)).count();
            assert_eq!(ends, 1, "{tag}");
        }
    }
}
