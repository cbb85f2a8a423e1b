//! Cargo, started by a program that cargo itself may have started.

use std::{env, ffi::OsStr, process::Command};

/// A cargo that builds what another one has built, and nothing anew.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_our_package(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether cargo set it for this program. Handed on to another cargo it would differ from one caller to the next, and
/// whatever is built anew when it does (ring is, and all that depends on it) would be, each time.
fn is_of_our_package(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_hears_nothing_of_the_package_that_starts_it() {
        // Cargo has set these for this test.
        let removed = |name: &str| {
            env::var_os(name).is_some() && cargo().get_envs().any(|it| it == (name.as_ref(), None))
        };
        assert!(removed("CARGO_MANIFEST_DIR") && removed("CARGO_PKG_NAME"));
        assert!(!removed("CARGO"));
    }
}
