//! Which Go builds: checked before the first of the builds, which would say less plainly what is wrong.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use super::{go, home};
use crate::{command::output, programs::debian};

const ADVICE: &str = "install a newer one from your distribution or from Go's own downloads page";
/// The module that demands the newest of those that this crate pins.
const MODULE: &str = "istio";

/// What the toolchain says it is in that directory; it decides what the linker writes. From Go 1.21 on, an older one
/// fetches the one that a module demands, unless it is told not to.
pub(super) fn version(directory: &Path) -> Result<String> {
    let module = home().join(MODULE);
    let go_mod = module.join("go.mod");
    let text = fs::read_to_string(&go_mod)
        .with_context(|| format!("{} cannot be read", go_mod.display()))?;
    let demanded = demanded(&text).context("a go.mod that demands no Go")?;
    let subject = format!("Go {demanded} or newer is needed (by e2e/cluster/{MODULE}/go.mod)");
    if debian::on_path("go").is_none() {
        bail!("{subject}, and there is no go on the PATH: {ADVICE}");
    }
    // Whoever may not build a module says so when it is asked for its name.
    if let Err(error) = output(&mut go(&module, &["list", "-m"])) {
        let local = output(go(Path::new("/"), &["env", "GOVERSION"]).env("GOTOOLCHAIN", "local"));
        let local = local.unwrap_or_else(|_| "of no known version".to_owned());
        bail!("{subject}, and this machine's is {local}: {ADVICE}; {error:#}");
    }
    output(&mut go(directory, &["env", "GOVERSION", "GOOS", "GOARCH"]))
}

/// The version in a go.mod's line `go 1.25.7`.
fn demanded(go_mod: &str) -> Option<&str> {
    go_mod.lines().find_map(|line| line.strip_prefix("go ")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(version: &str) -> Vec<u32> {
        version.split('.').map(|it| it.parse().expect("a number")).collect()
    }

    #[test]
    fn the_module_that_is_asked_demands_the_most() {
        let of = |module: &str| {
            let text = fs::read_to_string(home().join(module).join("go.mod")).expect("readable");
            number(demanded(&text).expect("a version"))
        };
        assert!(of(MODULE) >= of("kubernetes"));
    }
}
