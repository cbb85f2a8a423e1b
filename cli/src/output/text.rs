//! Words for people: sums, shares, bars, and nothing that would steer their terminal.

use serin_rollout::Traffic;
use serin_route::{Track, Weight};

/// Columns of a bar.
const BAR: usize = 10;

/// Requests and failures of one track so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    pub(crate) failures: u64,
}

impl Sum {
    pub(crate) fn of(traffic: &Traffic, track: Track) -> Self {
        let cells = traffic.generations.iter().flat_map(|generation| &generation.cells);
        cells.filter(|cell| cell.track == track).fold(Self::default(), |sum, cell| Self {
            requests: sum.requests + cell.requests,
            failures: sum.failures + cell.failures,
        })
    }

    /// `3/120`.
    pub(crate) fn ratio(self) -> String {
        format!("{}/{}", self.failures, self.requests)
    }

    fn percent(self) -> f64 {
        if self.requests == 0 { 0.0 } else { 100.0 * self.failures as f64 / self.requests as f64 }
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} failed ({:.1}%)", self.failures, self.requests, self.percent())
    }
}

/// A weight as a bar; any weight above 0 shows at least a sliver.
pub(crate) fn bar(weight: Weight) -> String {
    let eighths = (weight.fraction() * (BAR * 8) as f64).ceil();
    // Between 0 and 80.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 80")]
    let eighths = eighths as usize;
    let partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    let filled = "█".repeat(eighths / 8) + partial;
    let empty = BAR - eighths.div_ceil(8);
    filled + &"·".repeat(empty)
}

/// Text on one line, without control characters: messages hold what servers answered.
pub(crate) fn tame(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").chars().filter(|letter| !letter.is_control()).collect()
}

/// At most this many characters of a text.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let head: String = text.chars().take(columns.saturating_sub(1)).collect();
    head + "…"
}

/// Breaks a text between words into lines of at most so many characters.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_ten_columns_and_shows_every_weight_above_nothing() {
        assert_eq!(bar(Weight::ZERO), "··········");
        assert_eq!(bar(Weight::from_basis_points(1).unwrap()), "▏·········");
        assert_eq!(bar(Weight::from_percent(10)), "█·········");
        assert_eq!(bar(Weight::from_percent(25)), "██▌·······");
        assert_eq!(bar(Weight::FULL), "██████████");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(tame("503:\n \u{1b}[2Jgone\u{7} away\r\n"), "503:; [2Jgone away");
    }

    #[test]
    fn texts_are_cut_and_wrapped_by_characters() {
        assert_eq!(cut("äöüß", 4), "äöüß");
        assert_eq!(cut("äöüßx", 4), "äöü…");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("overlong a", 4), ["overlong", "a"]);
    }
}
