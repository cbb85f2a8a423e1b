//! The table of all releases, beside what is known of Flagger.

use std::fmt::Write as _;

use anyhow::Result;
use serin_e2e::cpu::Seen;

use crate::observed::Observed;

/// All that was seen.
pub(crate) struct Summary<'a> {
    pub(crate) bad: &'a [Observed],
    pub(crate) good: &'a Observed,
    pub(crate) noise: &'a Seen,
}

impl Summary<'_> {
    #[expect(clippy::print_stdout, reason = "the figures are the result")]
    pub(crate) fn publish(&self) -> Result<()> {
        println!("{}", self.text()?);
        Ok(())
    }

    fn text(&self) -> Result<String> {
        let mut text =
            format!("Bad releases: {}, 30 % of the canary's answers failed\n", self.bad.len());
        writeln!(text, "{:62} {:>7} {:>7}   Flagger 1.44", "", "median", "worst")?;
        let mut row = |name: &str, of: &dyn Fn(&Observed) -> f64, theirs: &str| {
            let (median, worst) = spread(self.bad.iter().map(of).collect());
            writeln!(text, "{name:62} {median:>7.1} {worst:>7.1}   {theirs}")
        };
        row("change of the image to the canary's first request, s", &|it| it.exposed, "")?;
        let stopped = |it: &Observed| it.stopped.unwrap_or(f64::INFINITY);
        row("first bad answer to weight 0, acknowledged by all proxies, s", &stopped, "105")?;
        row(
            "first bad answer to the canary's last answer, s",
            &|it| it.last.unwrap_or(f64::INFINITY),
            "",
        )?;
        row("failed requests answered", &|it| it.failed as f64, "211")?;
        row("requests to the canary", &|it| it.canary as f64, "")?;
        row("requests of all callers", &|it| it.sent as f64, "")?;
        row("API calls, reads", &|it| it.calls.reads_and_writes().0 as f64, "")?;
        row("API calls, writes", &|it| it.calls.reads_and_writes().1 as f64, "")?;
        let (reads, writes) = self.good.calls.reads_and_writes();
        writeln!(
            text,
            "A good release: first request after {:.1} s, promoted after {:.1} s, {reads} reads, {writes} writes",
            self.good.exposed, self.good.ended
        )?;
        let Seen { seconds, idle, load, cpus, .. } = self.noise;
        writeln!(
            text,
            "{cpus} CPUs, load average {load:.1}, {:.0} % idle, {seconds:.0} s",
            idle * 100.0
        )?;
        text.push_str("Flagger's are known figures of one release on such a rig; they are not measured here.\n");
        Ok(text)
    }
}

/// Median and worst.
fn spread(mut all: Vec<f64>) -> (f64, f64) {
    all.sort_by(f64::total_cmp);
    let at = |index: usize| all.get(index).copied().unwrap_or(f64::NAN);
    let middle = all.len() / 2;
    let median = if all.len().is_multiple_of(2) && middle > 0 {
        f64::midpoint(at(middle - 1), at(middle))
    } else {
        at(middle)
    };
    (median, at(all.len().wrapping_sub(1)))
}
