//! Releases on a cluster: what a person asks of the controller, and what is told of it.
//!
//! Verbs write what is wanted into the Canary's annotation and nothing else; the controller alone acts.

mod access;
mod ask;
mod check;
mod describe;
mod events;
mod find;
mod get;
mod intent;
mod table;
mod view;
mod watch;

use std::process::ExitCode;

use serin_rollout::Intent;

use crate::failure::Failure;
use access::Access;
use find::One;

/// What every ending means; shown by each verb's `--help`.
const EXIT_CODES: &str = "Exit codes:
  0    done, or so already (watch: promoted; check: releases can run here)
  1    not possible as it stands (watch: rolled back; check: something is missing)
  2    wrong usage
  3    the cluster does not answer or refuses, or there is no such Canary
  4    watch: not over within --timeout
  130  interrupted";

const GET: &str = "Examples:
  serin get                     Canaries of the context's namespace
  serin get -A                  of all namespaces
  serin get shop -o yaml        one as it is stored

STEP is the step of the schedule and their number; VERDICT is what the evidence says, or what holds the release.";

const WATCH: &str = "Examples:
  kubectl set image deployment/shop app=shop:2 && serin watch shop
  serin watch shop --timeout 10m || echo \"look: serin describe shop\"

It follows the release under way. If none is, it waits a few seconds for one, and then tells how the last one ended.
Ctrl-C ends the watching; the release goes on.";

const CHECK: &str = "\
It looks at Istio and its version, the definitions, what you may do, the controller and who leads, where the filter
comes from, where reports go and whether they arrive, and changes nothing. Below each thing that is missing stands
what to do.";

/// What is asked.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List Canaries: phase, weight, step, verdict.
    #[command(after_help = help(GET))]
    Get(get::Args),
    /// Tell the story of a release: how far it is, what was seen, what it waits for.
    #[command(after_help = EXIT_CODES)]
    Describe(One),
    /// Follow a release until it is promoted or rolled back.
    #[command(after_help = help(WATCH))]
    Watch(watch::Args),
    /// Skip the steps that are left; the canary becomes primary.
    #[command(after_help = EXIT_CODES)]
    Promote(One),
    /// Take all traffic back to primary, now.
    #[command(after_help = EXIT_CODES)]
    Abort(One),
    /// Hold the weight; evidence may still roll back.
    #[command(after_help = EXIT_CODES)]
    Pause(One),
    /// Go on, also past a pause without end or an unclear evidence.
    #[command(after_help = EXIT_CODES)]
    Resume(One),
    /// Try a revision again that was rolled back.
    #[command(after_help = EXIT_CODES)]
    Retry(One),
    /// Tell whether this cluster can run releases, and what to do if not.
    #[command(after_help = help(CHECK))]
    Check(Access),
}

fn help(text: &str) -> String {
    format!("{text}\n\n{EXIT_CODES}")
}

/// Does it, and says how it ended.
pub async fn main(verb: &Verb) -> ExitCode {
    match carry_out(verb).await {
        Ok(code) => code,
        Err(failure) => failure.exit(),
    }
}

async fn carry_out(verb: &Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Get(args) => get::get(args).await,
        Verb::Describe(one) => describe::describe(one).await,
        Verb::Watch(args) => watch::watch(args).await,
        Verb::Promote(one) => ask::ask(one, Intent::Promote).await,
        Verb::Abort(one) => ask::ask(one, Intent::Abort).await,
        Verb::Pause(one) => ask::ask(one, Intent::Pause).await,
        Verb::Resume(one) => ask::ask(one, Intent::Resume).await,
        Verb::Retry(one) => ask::ask(one, Intent::Retry).await,
        Verb::Check(access) => check::check(access).await,
    }
}

/// Prints data. Whoever reads it may have gone away.
fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
