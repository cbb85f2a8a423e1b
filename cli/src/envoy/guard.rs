//! Nobody leaves an Envoy behind, not even one that is killed: between us and Envoy stands this program once more, asks
//! the system to be killed with its parent, and becomes Envoy.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// The first argument that makes a program of ours step aside for Envoy: `GUARD PARENT ENVOY [ARGUMENTS]`.
pub const GUARD: &str = "__become-envoy";

/// To be called first thing in `main`: does not return when this process was started to become Envoy, unless that
/// fails; the code is then for the caller to exit with.
pub fn become_envoy_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != GUARD {
        return None;
    }
    Some(become_envoy(arguments))
}

fn become_envoy(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(parent), Some(envoy)) = (arguments.next(), arguments.next()) else {
        eprintln!("{GUARD} is for serin itself");
        return ExitCode::from(2);
    };
    die_with_parent();
    // The parent may have died before the line above took hold.
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if now.is_none_or(|now| now.as_str() != parent) {
        return ExitCode::FAILURE;
    }
    let error = Command::new(&envoy).args(arguments).exec();
    eprintln!("cannot run {}: {error}", envoy.display());
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn die_with_parent() {
    // A refusal leaves what other systems have: Envoy is stopped on every ending but SIGKILL.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() {}
