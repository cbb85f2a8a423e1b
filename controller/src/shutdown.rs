//! When to stop.

use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// As a shell says of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Until Ctrl-C or SIGTERM. A second one ends the process at once.
pub async fn asked() {
    let Ok([mut interrupted, mut terminated]) = signals() else {
        // Without handlers a signal ends the process itself.
        return std::future::pending().await;
    };
    either(&mut interrupted, &mut terminated).await;
    tokio::spawn(async move {
        either(&mut interrupted, &mut terminated).await;
        process::exit(INTERRUPTED);
    });
}

fn signals() -> std::io::Result<[Signal; 2]> {
    Ok([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?])
}

async fn either(interrupted: &mut Signal, terminated: &mut Signal) {
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
}
