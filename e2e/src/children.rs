//! Children that do not outlive a test, however it ends.

use std::{ffi::OsStr, path::Path};

use anyhow::Result;
use tokio::process::Command;

use crate::given;

/// The first argument with which `serin` becomes another program that dies with the thread that started it.
const GUARD: &str = "__become-envoy";

/// A program to start, killed when it is dropped. With `SERIN_BIN` it dies even if the test is killed; start it then on
/// the test's own thread, whose end is its end.
pub fn child(program: &Path) -> Result<Command> {
    let mut command = if std::env::var_os("SERIN_BIN").is_some() {
        let mut command = Command::new(given("SERIN_BIN")?);
        command.args([OsStr::new(GUARD), std::process::id().to_string().as_ref()]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.kill_on_drop(true);
    Ok(command)
}
