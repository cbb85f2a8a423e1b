//! What the samples say: increments over no filter, ratios to Lua's, and how far to trust them.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use serin_e2e::{cpu::Seen, modules::Call};

use crate::{
    Samples,
    case::{CALLS, Case, Chain, Route, TIMES},
};

/// Our increment may be that many times Lua's.
const LUA_RATIO_MAX: f64 = 1.5;
/// Unsteered, it may be that many microseconds above the empty filter's.
const ABOVE_EMPTY_US_MAX: f64 = 1.5;

/// The result.
pub(crate) struct Summary {
    text: String,
    data: Value,
}

/// Middle, ends, and a 90 % interval of the median, of one number by round.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    low: f64,
    high: f64,
    min: f64,
    max: f64,
}

impl Summary {
    pub(crate) fn of(samples: &Samples, noise: &Seen) -> Self {
        let mut text = String::from(
            "CPU of Envoy for each request, microseconds: median of all rounds [its 90 % interval], min to max\n\n",
        );
        let mut cases = Vec::new();
        for case in Case::compared() {
            let (cpu, increment) =
                (Spread::of(cpu(samples, case)), Spread::of(increments(samples, case)));
            let name = format!("{}, {}", case.chain.name(), case.route.name());
            let _ = write!(text, "{name:24} {:6.2}", cpu.median);
            if case.chain != Chain::Bare {
                let _ = write!(text, "  increment {}", increment.text());
            }
            text.push('\n');
            cases.push(json!({
                "filter": case.chain.name(),
                "route": case.route.name(),
                "cpu_us": cpu.data(),
                "increment_us": increment.data(),
            }));
        }
        let calls = calls(samples);
        for (name, each) in &calls {
            let _ = write!(text, "\none call: {name:24} {}", each.text());
        }
        let _ = writeln!(text, "\n{}", account(samples, &calls));
        let aims = aims(samples);
        let _ = writeln!(text);
        for aim in &aims {
            let _ = writeln!(text, "{}", aim.0);
        }
        let spread = relative_spread(samples);
        let Seen { seconds, stolen, idle, load, cpus } = noise;
        let _ = writeln!(
            text,
            "\nnoise: the same case without a filter varied by {spread:.1} % between rounds (quartiles); \
             {cpus} CPUs, {:.1} % stolen, {:.0} % idle, load {load:.1}, {seconds:.0} s",
            stolen * 100.0,
            idle * 100.0,
        );
        let aims: Vec<Value> = aims.into_iter().map(|(_, data)| data).collect();
        let data = json!({
            "cases": cases,
            "calls_us": calls.iter().map(|(name, each)| (*name, each.data())).collect::<BTreeMap<_, _>>(),
            "aims": aims,
            "noise": {
                "baseline_quartiles_percent": spread, "cpus": cpus, "stolen": stolen, "idle": idle,
                "load": load, "seconds": seconds,
            },
        });
        Self { text, data }
    }

    /// Prints it and writes `target/bench/envoy.json`.
    #[expect(clippy::print_stdout, reason = "the figures are the benchmark's result")]
    pub(crate) fn publish(&self) -> Result<()> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a workspace")?;
        let directory = target.join("target/bench");
        std::fs::create_dir_all(&directory)?;
        let path = directory.join("envoy.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&self.data)?)?;
        println!("{}\nwritten to {}", self.text, path.display());
        Ok(())
    }
}

fn cpu(samples: &Samples, case: Case) -> Vec<f64> {
    samples.get(&case).cloned().unwrap_or_default()
}

/// By round, what a filter adds on a route.
fn increments(samples: &Samples, case: Case) -> Vec<f64> {
    let (with, without) = (cpu(samples, case), cpu(samples, case.baseline()));
    with.iter().zip(&without).map(|(with, without)| with - without).collect()
}

/// What one call to the host costs: what calls add to the empty filter, divided by their number.
fn calls(samples: &Samples) -> Vec<(&'static str, Spread)> {
    let empty = cpu(samples, Case { chain: Chain::Empty, route: Route::Unsteered });
    let each = |call| {
        let case = Case::calling(call);
        let with = cpu(samples, case);
        let each = with.iter().zip(&empty).map(|(with, empty)| (with - empty) / TIMES as f64);
        (case.chain.name(), Spread::of(each.collect()))
    };
    CALLS.into_iter().map(each).collect()
}

/// Where the time of a request that is drawn by weight goes.
fn account(samples: &Samples, calls: &[(&'static str, Spread)]) -> String {
    let of = |chain| increments(samples, Case { chain, route: Route::Weighted });
    let (ours, empty) = (Spread::of(of(Chain::Ours)).median, Spread::of(of(Chain::Empty)).median);
    let cost = |call| {
        let name = Chain::Calling(call).name();
        calls.iter().find(|(it, _)| *it == name).map_or(f64::NAN, |(_, each)| each.median)
    };
    // The route's name twice; when it is over, the code and the flags.
    let bytes = 2.0 * cost(Call::RouteName) + 2.0 * cost(Call::ResponseFlags);
    let times = 2.0 * cost(Call::Time);
    let rest = ours - empty - bytes - times;
    format!(
        "of serin's {ours:.1} on the weighted route: {empty:.1} entering callbacks, {bytes:.1} four calls that \
         return bytes, {times:.1} the time twice, {rest:.1} its own code and a tenth of a header and a route"
    )
}

fn aims(samples: &Samples) -> Vec<(String, Value)> {
    let of = |chain, route| increments(samples, Case { chain, route });
    let mut aims = Vec::new();
    for route in Route::ALL.into_iter().filter(|route| *route != Route::Unsteered) {
        let (ours, lua) = (of(Chain::Ours, route), of(Chain::Lua, route));
        let ratio = Spread::of(ours.iter().zip(&lua).map(|(ours, lua)| ours / lua).collect());
        let name = format!("{}: serin's increment / lua's", route.name());
        aims.push(aim(&name, ratio, LUA_RATIO_MAX));
    }
    let (ours, empty) = (of(Chain::Ours, Route::Unsteered), of(Chain::Empty, Route::Unsteered));
    let above = Spread::of(ours.iter().zip(&empty).map(|(ours, empty)| ours - empty).collect());
    aims.push(aim(
        "unsteered: serin's increment - the empty filter's, us",
        above,
        ABOVE_EMPTY_US_MAX,
    ));
    aims
}

fn aim(name: &str, seen: Spread, at_most: f64) -> (String, Value) {
    let met = seen.median <= at_most;
    let word = if met { "met" } else { "MISSED" };
    let line = format!("{name:56} {}  aim <= {at_most}: {word}", seen.interval());
    (line, json!({"aim": name, "at_most": at_most, "met": met, "seen": seen.data()}))
}

/// Half the distance between the quartiles of the plainest case, in percent of its median.
fn relative_spread(samples: &Samples) -> f64 {
    let mut plain = cpu(samples, Case { chain: Chain::Bare, route: Route::Unsteered });
    plain.sort_by(f64::total_cmp);
    let at = |quantile: f64| quantile_of(&plain, quantile);
    (at(0.75) - at(0.25)) / 2.0 / at(0.5) * 100.0
}

fn quantile_of(sorted: &[f64], quantile: f64) -> f64 {
    let place = quantile * (sorted.len().max(1) - 1) as f64;
    let (low, high) = (ranked(sorted, place.floor()), ranked(sorted, place.ceil()));
    low + (high - low) * place.fract()
}

/// The value of a rank, or the nearest there is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what an index may be"
)]
fn ranked(sorted: &[f64], rank: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(rank.clamp(0.0, last as f64) as usize).copied().unwrap_or(f64::NAN)
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        // The ranks around the median that hold it with 90 %, by the normal approximation to the binomial.
        let reach = 1.645 * n.sqrt() / 2.0;
        let rank = |rank: f64| ranked(&values, rank);
        Self {
            median: quantile_of(&values, 0.5),
            low: rank((n / 2.0 - reach).floor()),
            high: rank((n / 2.0 + reach).floor()),
            min: rank(0.0),
            max: rank(n - 1.0),
        }
    }

    fn text(&self) -> String {
        let Self { min, max, .. } = self;
        format!("{}, {min:.2} to {max:.2}", self.interval())
    }

    /// Without the ends: those of a ratio say only that some round's divisor was near nothing.
    fn interval(&self) -> String {
        let Self { median, low, high, .. } = self;
        format!("{median:6.2} [{low:.2} to {high:.2}]")
    }

    fn data(&self) -> Value {
        let Self { median, low, high, min, max } = self;
        json!({"median": median, "low": low, "high": high, "min": min, "max": max})
    }
}
