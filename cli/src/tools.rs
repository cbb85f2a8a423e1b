//! What a run needs beside this program: Envoy and the filter's module.

use std::path::{Path, PathBuf};

use crate::args::Tools;
use crate::envoy::Binary;
use crate::failure::Failure;

/// Envoy and the filter's module, found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) envoy: Binary,
    pub(crate) module: PathBuf,
}

impl Tools {
    /// Finds both.
    pub(crate) fn find(&self) -> Result<Found, Failure> {
        let envoy = Binary::find(self.envoy.as_deref()).map_err(Failure::environment)?;
        let module = match &self.module {
            Some(module) => module.clone(),
            None => module().ok_or_else(|| {
                Failure::environment(
                    "no filter: dist/serin.wasm is neither here nor beside the program; \
                     build it with `cargo xtask wasm`, or name one with --module PATH or SERIN_MODULE",
                )
            })?,
        };
        // Envoy runs in a directory of its own.
        let module = std::path::absolute(&module).unwrap_or(module);
        Ok(Found { envoy, module })
    }
}

/// This program, as it runs now, even if its file was replaced meanwhile.
pub(crate) fn guard() -> Option<PathBuf> {
    let itself = Path::new("/proc/self/exe");
    if itself.exists() { Some(itself.to_owned()) } else { std::env::current_exe().ok() }
}

fn module() -> Option<PathBuf> {
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let beside =
        program.iter().filter_map(|program| program.parent()).map(|it| it.join("serin.wasm"));
    let above = [&here, &program].into_iter().flatten().flat_map(|path| path.ancestors());
    let built = above.map(|directory| directory.join("dist/serin.wasm"));
    beside.chain(built).find(|file| file.is_file())
}
