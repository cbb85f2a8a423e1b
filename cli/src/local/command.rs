//! The command `serin local`: a file and addresses in, an exit code out.

use std::process::ExitCode;

use super::{
    Ending, Engine, Kept, Outcome, Release, Setup, StateError, StateFile, World, addresses, intents,
};
use crate::args::Local;
use crate::bounded;
use crate::clock::Clock;
use crate::failure::{self, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Format, Lines, Sink, Summary, aside};
use crate::recording::Recording;
use crate::report::{self, file::Unwritten};
use crate::tools::{self, Found};

/// The name of a version, where only its addresses are known.
fn revision(addresses: &[String]) -> String {
    addresses.join(",")
}

/// Carries out the release and reports how it ended.
pub async fn main(args: &Local) -> ExitCode {
    match carry_out(args).await {
        Ok((Outcome { unsaved: Some(why), .. }, _)) => {
            let text = "it still holds an older status: remove it before the next release";
            aside(format_args!("serin: {why}; {text}"));
            ExitCode::from(failure::UNSAVED)
        }
        Ok((_, Err(Unwritten))) => ExitCode::from(failure::UNSAVED),
        Ok((Outcome { ending: Ending::Promoted, .. }, _)) => ExitCode::SUCCESS,
        Ok((Outcome { ending: Ending::RolledBack, .. }, _)) => ExitCode::FAILURE,
        Err(failure) => {
            failure.print(args.output);
            failure.exit()
        }
    }
}

/// How the release ended, and whether its report was written.
async fn carry_out(args: &Local) -> Result<(Outcome, Result<(), Unwritten>), Failure> {
    let (release, yaml) = release(args).await?;
    if !args.no_report {
        report::file::check(&args.report)?;
    }
    let (kept, clock) = claim(args, &release)?;
    let found = args.tools.find()?;
    let mut interrupt = Interrupt::new().map_err(Failure::environment)?;
    let mut world = tokio::select! {
        world = start(args, &found, &release, clock) => world?,
        () = interrupt.next() => return Err(Failure::interrupted()),
    };
    introduce(args, &found, &world);
    let title = format!("{}.{}", release.plan.canary, release.plan.namespace);
    if let Some(status) = kept.as_ref().and_then(|kept| kept.unfinished.as_ref()) {
        aside(format_args!("Carrying on {title} as it was kept: {}", output::standing(status)));
    }
    let mut recording = Recording::new(&title, &yaml, &release.plan);
    let ended = follow(args, &release, kept, &mut world, &mut recording, &mut interrupt).await;
    tokio::select! {
        () = world.stop() => {}
        () = interrupt.next() => {}
    }
    let reported =
        if args.no_report { Ok(()) } else { report::file::write(&args.report, &[&recording]) };
    ended.map(|outcome| (outcome, reported))
}

async fn follow(
    args: &Local,
    release: &Release,
    kept: Option<Kept>,
    world: &mut World,
    recording: &mut Recording,
    interrupt: &mut Interrupt,
) -> Result<Outcome, Failure> {
    let mut intents = intents::from_terminal();
    let mut printer = output::printer(args.output, &recording.title);
    let mut sinks: [&mut dyn Sink; 2] = [printer.as_mut(), recording];
    let ended = tokio::select! {
        ended = Engine::run(release, kept, world, &mut sinks, &mut intents) => {
            ended.map_err(Failure::environment)
        }
        () = interrupt.next() => Err(Failure::interrupted()),
    };
    drop(printer);
    if let Ok(outcome) = &ended {
        conclude(args.output, outcome);
    }
    ended
}

async fn release(args: &Local) -> Result<(Release, String), Failure> {
    let file = args.file.display();
    let text = bounded::read(&args.file)
        .map_err(|error| Failure::usage(format!("cannot read {file}: {error}")))?;
    let plan = super::input::plan(&text)
        .map_err(|problems| Failure::usage(format!("{file} cannot be used:\n{problems}")))?;
    let unreachable = serin_probe::unreachable(&plan);
    if !unreachable.is_empty() {
        let problems = unreachable.join("\n");
        return Err(Failure::usage(format!("{file} cannot be used:\n{problems}")));
    }
    let (primary, canary) = addresses::both(&args.primary, &args.canary).await?;
    let release = Release {
        plan,
        revision: revision(&args.canary),
        primary_revision: revision(&args.primary),
        primary,
        canary,
    };
    addresses::check(&release.primary, &release.canary, args.listen)?;
    Ok((release, text))
}

/// The file of `--state`, and the time to go on from: a state may be from a time that this machine's clock has still to
/// reach.
fn claim(args: &Local, release: &Release) -> Result<(Option<Kept>, Clock), Failure> {
    let clock = Clock::start();
    let Some(path) = &args.state else { return Ok((None, clock)) };
    let kept = StateFile::claim(path, &release.plan, clock.now()).map_err(|error| match error {
        StateError::Io(..) => Failure::environment(error),
        _ => Failure::usage(error),
    })?;
    match kept.written.filter(|written| *written > clock.now()) {
        Some(written) => {
            let place = path.display();
            aside(format_args!(
                "{place} is of {written}, ahead of this clock: time goes on from there"
            ));
            Ok((Some(kept), Clock::from(written)))
        }
        None => Ok((Some(kept), clock)),
    }
}

async fn start(
    args: &Local,
    found: &Found,
    release: &Release,
    clock: Clock,
) -> Result<World, Failure> {
    let guard = tools::guard();
    let setup = Setup {
        envoy: &found.envoy.path,
        module: &found.module,
        listen: args.listen,
        guard: guard.as_deref(),
        name: &release.plan.name,
        namespace: &release.plan.namespace,
        primary: &release.primary,
        clock,
    };
    World::start(&setup).await.map_err(Failure::environment)
}

fn introduce(args: &Local, found: &Found, world: &World) {
    aside(format_args!(
        "Envoy {} listens on http://{}: primary {}, canary {}",
        found.envoy.version,
        world.address(),
        args.primary.join(", "),
        args.canary.join(", "),
    ));
    if intents::can_be_typed() {
        aside(
            "Type pause, resume, promote or abort and Enter to intervene; Ctrl-C stops everything.",
        );
    }
}

fn conclude(format: Format, outcome: &Outcome) {
    let summary = Summary::of(outcome);
    match format {
        Format::Json => Lines::print(&summary),
        Format::Text => aside(summary),
    }
}
