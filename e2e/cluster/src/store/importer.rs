//! A containerd for the time of an import, which nobody else talks to.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use super::import;
use crate::{
    http,
    images::Image,
    node::{containerd_config, search_path},
    place::{Place, TOOL_MARK},
    process,
    programs::Node,
};

/// Imports all of them into that root directory.
pub(super) fn import_all(
    programs: &Node,
    place: &Place,
    root: &Path,
    images: &[Image],
) -> Result<()> {
    // Below the cluster's own, where `down` finds it if this is killed.
    let directory = tempfile::Builder::new().prefix("import-").tempdir_in(place.run())?;
    let containerd = Importer::start(programs, place, root, directory.path())?;
    let one = |image: &Image| import(&programs.ctr, &containerd.socket, &image.archive);
    let imported: Vec<Result<()>> = thread::scope(|scope| {
        let all: Vec<_> = images.iter().map(|image| scope.spawn(move || one(image))).collect();
        all.into_iter()
            .map(|it| it.join().unwrap_or_else(|_| Err(anyhow!("an import panicked"))))
            .collect()
    });
    imported.into_iter().collect()
}

struct Importer {
    child: Child,
    socket: PathBuf,
}

impl Importer {
    fn start(programs: &Node, place: &Place, root: &Path, directory: &Path) -> Result<Self> {
        let config = directory.join("config.toml");
        let text = containerd_config(root, directory).replace(
            "disabled_plugins = [",
            "disabled_plugins = [\n  \"io.containerd.grpc.v1.cri\",",
        );
        fs::write(&config, text)?;
        let log = directory.join("log");
        let mut child = Command::new("setpriv")
            .env(TOOL_MARK, place.name())
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&programs.containerd)
            .arg("--config")
            .arg(config)
            .env("PATH", search_path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("containerd could not be started")?;
        let socket = directory.join("containerd.sock");
        let answers = || {
            let mut ctr = Command::new(&programs.ctr);
            ctr.arg("--address").arg(&socket).args(["--timeout", "2s", "version"]);
            ctr.stdout(Stdio::null()).stderr(Stdio::null());
            socket.exists() && ctr.status().is_ok_and(|status| status.success())
        };
        http::eventually("containerd to answer", Duration::from_secs(30), answers, || match child
            .try_wait()?
        {
            Some(status) => bail!("containerd ended with {status}; {}", process::tail(&log)),
            None => Ok(()),
        })?;
        Ok(Self { child, socket })
    }
}

impl Drop for Importer {
    /// The databases are to be closed before anybody copies them, so it is asked to end.
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
