//! When to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Until Ctrl-C or SIGTERM.
pub async fn asked() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        // Without handlers a signal ends the process itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
