//! `serin demo`: two versions of a small shop, load of its own, and three releases on one Envoy: a healthy one, one
//! that fails, one that is slow. The judge knows of them what it would know of anybody's: a Canary and addresses.

mod app;
mod dice;
mod load;
mod scenario;
mod stage;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

pub use scenario::Scenario;

use crate::args::Tools;
use crate::failure::{Failure, UNSAVED};
use crate::interrupt::Interrupt;
use crate::output::{Format, Lines, Paint};
use crate::recording::Recording;
use crate::tools::Found;
use stage::{Act, Stage};
use summary::Summary;

/// The Canary of all releases.
const CANARY: &str = include_str!("../../demo/canary.yaml");

/// Watch three releases of a small web app on a real Envoy: a healthy one, one that fails, one that is slow.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Envoy and the filter.
    #[command(flatten)]
    pub tools: Tools,
    /// Requests per second.
    #[arg(long, default_value_t = 200.0, value_parser = rate)]
    pub rps: f64,
    /// Seed of the load and of the app's faults; without it a new one each time.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where the report page is written.
    #[arg(long, value_name = "PATH", default_value = "serin-demo.html")]
    pub report: PathBuf,
    /// Which releases, in which order.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "healthy,errors,slow")]
    pub releases: Vec<Scenario>,
    /// How decisions are printed on the standard output.
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
}

/// The first line of JSON: the Canary of all releases, and the seed.
#[derive(Serialize)]
struct Opening {
    canary: &'static str,
    seed: u64,
}

/// Runs the demo to its end, or to Ctrl-C. The code is 0 if every release ended as it should.
pub async fn main(options: &Options) -> ExitCode {
    match run(options).await {
        Ok(code) => code,
        Err(failure) => {
            failure.print(options.output);
            failure.exit()
        }
    }
}

async fn run(options: &Options) -> Result<ExitCode, Failure> {
    let mut interrupt = Interrupt::new().map_err(Failure::environment)?;
    crate::report::file::check(&options.report)?;
    let found = options.tools.find()?;
    let seed = options.seed.map_or_else(random_seed, Ok)?;
    open(options.output, seed);
    let mut stage = tokio::select! {
        stage = Stage::set(&found, CANARY, options.rps, seed) => stage?,
        () = interrupt.next() => return Err(Failure::interrupted()),
    };
    introduce(options, &found, &stage);
    let played = tokio::select! {
        played = play(&mut stage, options) => played,
        () = interrupt.next() => Err(Failure::interrupted()),
    };
    tokio::select! {
        () = stage.clear() => {}
        () = interrupt.next() => {}
    }
    Ok(close(options, &played?))
}

async fn play(stage: &mut Stage, options: &Options) -> Result<Vec<Act>, Failure> {
    let mut acts = Vec::new();
    for scenario in &options.releases {
        let act = stage.play(*scenario, acts.len() + 1, options.output).await?;
        if options.output == Format::Json {
            Lines::print(&act.summary);
        }
        let stuck = act.is_stuck();
        acts.push(act);
        if stuck {
            break;
        }
    }
    Ok(acts)
}

fn open(output: Format, seed: u64) {
    if output == Format::Json {
        return Lines::print(&Opening { canary: CANARY, seed });
    }
    let paint = Paint::of(&std::io::stdout());
    println!("{}\n", paint.bold("The Canary of all releases (cli/demo/canary.yaml)"));
    for line in CANARY.lines() {
        println!("  {}", paint.dim(line));
    }
    println!("\nSeed {seed}: --seed {seed} sends the same requests again.");
}

fn introduce(options: &Options, found: &Found, stage: &Stage) {
    if options.output == Format::Json {
        return;
    }
    println!(
        "Envoy {} at http://{} serves the shop, at {} requests per second; a fifth of them come from\n\
         {} users with a key, the header x-user.",
        found.envoy.version,
        stage.address(),
        options.rps,
        load::USERS,
    );
    println!(
        "E is the evidence against the new version: 20 quarantines it; 1000 rolls it back, from at least two\n\
         blocks of 10 s, each of which may add only so much to it (E capped): one burst is no proof."
    );
}

/// Prints the summary and writes the report.
fn close(options: &Options, acts: &[Act]) -> ExitCode {
    if options.output == Format::Text {
        let summaries: Vec<Summary> = acts.iter().map(|act| act.summary.clone()).collect();
        println!("\n{}", summary::table(&summaries));
        println!(
            "Seconds from the canary's first request until every worker showed the new weight."
        );
    }
    let recordings: Vec<&Recording> = acts.iter().map(|act| &act.recording).collect();
    let reported = crate::report::file::write(&options.report, &recordings);
    let wrong: Vec<String> = acts.iter().filter_map(Act::wrong).collect();
    for wrong in &wrong {
        eprintln!("serin: {wrong}");
    }
    match reported {
        Err(_) => ExitCode::from(UNSAVED),
        Ok(()) if wrong.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
    }
}

fn random_seed() -> Result<u64, Failure> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(Failure::environment)?;
    Ok(u32::from_le_bytes(bytes).into())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number of requests per second".to_owned())?;
    if (1.0..=5000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err(format!("between 1 and 5000 requests per second, not {rate}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canary_is_one_that_serin_local_takes() {
        let plan = crate::local::input::plan(CANARY).unwrap_or_else(|wrong| panic!("{wrong}"));
        let untouched = serin_rollout::Evidence::default();
        let alphas = |it: &serin_rollout::Evidence| {
            [it.alpha_quarantine, it.alpha_rollback, it.alpha_pass].map(f64::to_bits)
        };
        assert_eq!(alphas(&plan.evidence), alphas(&untouched));
        assert_eq!(plan.interval.as_secs(), 15);
    }

    #[test]
    fn rates_are_bounded() {
        assert_eq!(rate("200"), Ok(200.0));
        for wrong in ["", "fast", "0", "-1", "NaN", "inf", "5001"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
