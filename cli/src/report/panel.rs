//! One chart: a frame with axes, lines on it, and labels where the lines end.

use std::fmt::Write;

use serin_route::Track;

use super::html::Escaped;
use super::scale::Scale;

/// Pixels of the drawing; the page scales it.
pub(crate) const WIDTH: f64 = 960.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 788.0;
const BOTTOM: f64 = 22.0;
/// Between two labels.
const LINE_HEIGHT: f64 = 15.0;

/// The longest words above a moment.
const BANNER_WIDTH: f64 = 150.0;

/// The time axis, which all charts of a release share.
pub(crate) fn time_axis(duration_s: f64) -> Scale {
    Scale::linear((0.0, duration_s), (LEFT, RIGHT))
}

/// One chart under construction.
pub(crate) struct Panel {
    x: Scale,
    y: Scale,
    top: f64,
    floor: f64,
    body: String,
    labels: Vec<Label>,
    banner_row: u8,
    banner_end: f64,
}

/// What is said about a chart.
pub(crate) struct Caption<'a> {
    pub(crate) title: &'a str,
    /// How to read it.
    pub(crate) note: &'a str,
    /// What it shows, for those who do not see it.
    pub(crate) alt: &'a str,
}

struct Label {
    y: f64,
    ink: Ink,
    text: String,
}

/// Whose label it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Track(Track),
    Plain,
    Quiet,
}

impl Ink {
    fn of(self) -> (&'static str, &'static str) {
        match self {
            Self::Track(Track::Canary) => {
                ("label", "<tspan class=\"mark canary\">●</tspan> canary ")
            }
            Self::Track(Track::Primary) => {
                ("label", "<tspan class=\"mark primary\">○</tspan> primary ")
            }
            Self::Plain => ("label", ""),
            Self::Quiet => ("label quiet", ""),
        }
    }
}

impl Panel {
    /// The frame. `y` maps a share of the height (0 below, 1 above) to pixels and gives back the scale of the values;
    /// `top` pixels are kept free above.
    pub(crate) fn new(
        x: Scale,
        plot_height: f64,
        top: f64,
        y: impl FnOnce((f64, f64)) -> Scale,
    ) -> Self {
        let floor = top + plot_height;
        Self {
            x,
            y: y((floor, top)),
            top,
            floor,
            body: String::new(),
            labels: Vec::new(),
            banner_row: 1,
            banner_end: 0.0,
        }
    }

    /// Lines across at values, each with its label on the left.
    pub(crate) fn value_ticks(&mut self, ticks: &[f64], label: impl Fn(f64) -> String) {
        for tick in ticks {
            let y = self.y.at(*tick);
            self.push(&format!(
                "<path class=\"grid\" d=\"M{LEFT:.1} {y:.1}H{RIGHT:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                Escaped(&label(*tick)),
            ));
        }
    }

    /// Marks below at times, each with its label.
    pub(crate) fn time_ticks(&mut self, ticks: &[f64], label: impl Fn(f64) -> String) {
        for tick in ticks {
            let (x, floor) = (self.x.at(*tick), self.floor);
            self.push(&format!(
                "<path class=\"axis\" d=\"M{x:.1} {floor:.1}v4\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                floor + 17.0,
                Escaped(&label(*tick)),
            ));
        }
        self.push(&format!("<path class=\"axis\" d=\"M{LEFT:.1} {:.1}H{RIGHT:.1}\"/>", self.floor));
    }

    /// A span of time, shaded.
    pub(crate) fn shade(&mut self, from_s: f64, to_s: f64, class: &str) {
        let (from, to) = (self.x.at(from_s), self.x.at(to_s));
        self.push(&format!(
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            self.top,
            (to - from).max(0.0),
            self.floor - self.top,
        ));
    }

    /// A line down at a moment.
    pub(crate) fn moment(&mut self, at_s: f64, class: &str) {
        let (x, top, floor) = (self.x.at(at_s), self.top, self.floor);
        self.push(&format!("<path class=\"{class}\" d=\"M{x:.1} {top:.1}V{floor:.1}\"/>"));
    }

    /// A line across at a value, with its label on the right.
    pub(crate) fn threshold(&mut self, value: f64, class: &'static str, text: &str) {
        let y = self.y.at(value);
        self.push(&format!("<path class=\"{class}\" d=\"M{LEFT:.1} {y:.1}H{RIGHT:.1}\"/>"));
        self.label(value, Ink::Quiet, text);
    }

    /// A line through points in time; nothing joins points around a gap, and a lone point is a dot.
    pub(crate) fn line(&mut self, points: &[(f64, Option<f64>)], class: &str) {
        let mut path = String::new();
        for run in runs(points) {
            if let [(at, value)] = run[..] {
                let (x, y) = (self.x.at(at), self.y.at(value));
                self.push(&format!(
                    "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>"
                ));
                continue;
            }
            for (index, (at, value)) in run.into_iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{command}{:.1} {:.1}", self.x.at(at), self.y.at(value));
            }
        }
        if !path.is_empty() {
            self.push(&format!("<path class=\"line {class}\" d=\"{path}\"/>"));
        }
    }

    /// The area between two values over time; a lone span is a bar.
    pub(crate) fn band(&mut self, points: &[(f64, Option<(f64, f64)>)], class: &str) {
        for run in runs(points) {
            if let [(at, (low, high))] = run[..] {
                let (x, low, high) = (self.x.at(at), self.y.at(low), self.y.at(high));
                self.push(&format!(
                    "<path class=\"bar {class}\" d=\"M{x:.1} {low:.1}V{high:.1}\"/>"
                ));
                continue;
            }
            let above = run.iter().map(|(at, (_, high))| (at, high));
            let below = run.iter().rev().map(|(at, (low, _))| (at, low));
            let mut points = String::new();
            for (at, value) in above.chain(below) {
                let _ = write!(points, "{:.1},{:.1} ", self.x.at(*at), self.y.at(*value));
            }
            let points = points.trim_end();
            self.push(&format!("<polygon class=\"band {class}\" points=\"{points}\"/>"));
        }
    }

    /// Values that hold until the next one, filled below.
    pub(crate) fn steps(&mut self, points: &[(f64, f64)], until_s: f64, class: &str) {
        let Some((first, rest)) = points.split_first() else { return };
        let mut path = format!("{:.1} {:.1}", self.x.at(first.0), self.y.at(first.1));
        for (at, value) in rest {
            let _ = write!(path, "H{:.1}V{:.1}", self.x.at(*at), self.y.at(*value));
        }
        let end = self.x.at(until_s);
        let _ = write!(path, "H{end:.1}");
        let (start, floor) = (self.x.at(first.0), self.floor);
        self.push(&format!(
            "<path class=\"area {class}\" d=\"M{path}V{floor:.1}H{start:.1}Z\"/>\
             <path class=\"line {class}\" d=\"M{path}\"/>"
        ));
    }

    /// Words at a time and a value, `above` it in pixels.
    pub(crate) fn words(&mut self, at_s: f64, value: f64, above: f64, text: &str) {
        let (x, y) = (self.x.at(at_s), self.y.at(value) - above);
        self.push(&format!(
            "<text class=\"words\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
            Escaped(text)
        ));
    }

    /// Words in the free space on top: in the second row where the first is taken, to the left of the moment where
    /// the right is too narrow.
    pub(crate) fn banner(&mut self, at_s: f64, text: &str) {
        let x = self.x.at(at_s);
        let row = u8::from(self.banner_row == 0 && x < self.banner_end);
        (self.banner_row, self.banner_end) = (row, x + BANNER_WIDTH);
        let (x, anchor) = if x > RIGHT - 60.0 { (x + 3.0, "end") } else { (x - 3.0, "start") };
        self.push(&format!(
            "<text class=\"banner\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            12.0 + f64::from(row) * LINE_HEIGHT,
            Escaped(text),
        ));
    }

    /// A label on the right at a value; labels move apart where they would overlap.
    pub(crate) fn label(&mut self, value: f64, ink: Ink, text: impl Into<String>) {
        self.labels.push(Label { y: self.y.at(value), ink, text: text.into() });
    }

    /// An invisible area over a span of time that tells its numbers under the pointer.
    pub(crate) fn tip(&mut self, from_s: f64, to_s: f64, text: &str) {
        let (from, to) = (self.x.at(from_s), self.x.at(to_s));
        self.push(&format!(
            "<rect class=\"tip\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\">\
             <title>{}</title></rect>",
            self.top,
            (to - from).max(0.5),
            self.floor - self.top,
            Escaped(text),
        ));
    }

    /// The chart with its caption.
    pub(crate) fn figure(mut self, caption: &Caption<'_>) -> String {
        self.draw_labels();
        let height = self.floor + BOTTOM;
        format!(
            "<figure>\n<figcaption><strong>{}</strong> <span>{}</span></figcaption>\n\
             <div class=\"scroll\"><svg viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" \
             aria-label=\"{}\">\n{}<path class=\"cursor\" d=\"M0 {:.1}V{:.1}\"/>\n\
             </svg></div>\n</figure>\n",
            Escaped(caption.title),
            Escaped(caption.note),
            Escaped(caption.alt),
            self.body,
            self.top,
            self.floor,
        )
    }

    fn draw_labels(&mut self) {
        let mut labels = std::mem::take(&mut self.labels);
        labels.sort_by(|a, b| a.y.total_cmp(&b.y));
        let wanted: Vec<f64> = labels.iter().map(|label| label.y).collect();
        let placed = spread(&wanted, self.top, self.floor);
        for (label, y) in labels.iter().zip(placed) {
            let (class, mark) = label.ink.of();
            self.push(&format!(
                "<path class=\"leader\" d=\"M{:.1} {:.1}L{:.1} {y:.1}\"/>\
                 <text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{mark}{}</text>",
                RIGHT + 2.0,
                label.y,
                RIGHT + 12.0,
                RIGHT + 15.0,
                y + 4.0,
                Escaped(&label.text),
            ));
        }
    }

    fn push(&mut self, svg: &str) {
        self.body.push_str(svg);
        self.body.push('\n');
    }
}

/// Heights at least a line apart, as near to the wanted ones (rising) as the space allows.
fn spread(wanted: &[f64], top: f64, floor: f64) -> Vec<f64> {
    let mut placed: Vec<f64> = Vec::new();
    for y in wanted {
        let free = placed.last().map_or(top, |last| last + LINE_HEIGHT);
        placed.push(y.max(free));
    }
    let mut limit = floor;
    for y in placed.iter_mut().rev() {
        *y = y.min(limit);
        limit = *y - LINE_HEIGHT;
    }
    placed
}

/// The unbroken runs of points that have a value.
fn runs<T: Copy>(points: &[(f64, Option<T>)]) -> Vec<Vec<(f64, T)>> {
    points
        .split(|(_, value)| value.is_none())
        .map(|run| run.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect())
        .filter(|run: &Vec<(f64, T)>| !run.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_a_line_apart_and_inside() {
        assert_eq!(spread(&[10.0, 11.0, 90.0], 0.0, 100.0), [10.0, 25.0, 90.0]);
        assert_eq!(spread(&[98.0, 99.0], 0.0, 100.0), [85.0, 100.0]);
    }

    #[test]
    fn nothing_joins_points_around_a_gap() {
        let points = [(0.0, Some(1)), (1.0, Some(2)), (2.0, None), (3.0, Some(3))];
        assert_eq!(runs(&points), [vec![(0.0, 1), (1.0, 2)], vec![(3.0, 3)]]);
    }
}
