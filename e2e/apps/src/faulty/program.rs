//! The program: listens, answers, and ends as SIGTERM finds it.

use std::{process::ExitCode, sync::Arc};

use super::{Args, OnTerm, app::App};
use crate::{aside, quantity::Time, server, signals::Signals};

/// What it exits with when it crashes.
const CRASHED: u8 = 1;
/// As a shell reports an end by SIGTERM.
const TERMINATED: u8 = 143;

/// Runs the app until a signal ends it. An error is wrong usage, or an address that cannot be had.
pub async fn run(args: Args) -> Result<ExitCode, String> {
    args.check()?;
    let mut signals = Signals::new().map_err(|error| error.to_string())?;
    let app = Arc::new(App::new(&args)?);
    let listener = server::bind(&args.listen).await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    aside(format_args!("faulty: {} listens on {address}", args.version_name));
    let answer = {
        let app = Arc::clone(&app);
        move |request| {
            let app = Arc::clone(&app);
            async move { app.answer(request).await }
        }
    };
    let stop = async {
        signals.next().await;
        app.drain();
        if args.on_term == OnTerm::Drain {
            let (linger, max) = (args.linger, args.drain_max);
            aside(format_args!("faulty: told to end; lingers {linger}, drains for at most {max}"));
            tokio::time::sleep(linger.0).await;
        }
    };
    let patience = if args.on_term == OnTerm::Exit { Time::default() } else { args.drain_max };
    let drained = tokio::select! {
        drained = server::serve(listener, answer, stop, patience.0) => drained,
        () = app.crashed() => {
            aside(format_args!("faulty: crashes, as ordered"));
            return Ok(ExitCode::from(CRASHED));
        }
    };
    if args.on_term == OnTerm::Exit {
        return Ok(ExitCode::from(TERMINATED));
    }
    aside(if drained { "faulty: drained" } else { "faulty: some requests were cut off" });
    Ok(ExitCode::SUCCESS)
}
