//! Everything that a release touches on this machine: an Envoy, its files, the receiver of its reports.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serin_route::{Reports, Side, Table, Track, VERSION};

use super::run_directory::RunDirectory;
use crate::clock::Clock;
use crate::envoy::{
    Bootstrap, Files, Launch, Process, ProcessError, Projection, Service, TELEMETRY, bootstrap,
    updates,
};
use crate::receiver::Receiver;

/// Between two reports of a VM.
pub(super) const PERIOD_MS: u32 = 1000;
/// One VM for each worker and one for Envoy's main thread report.
const CONCURRENCY: usize = 2;
/// For requests in flight when Envoy stops.
const GRACE: Duration = Duration::from_secs(5);
/// The name of the only scope.
const SCOPE: &str = "local";
const LISTENER: &str = "ingress";
/// How a WebAssembly module begins.
const WASM: &[u8] = b"\0asm";

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// Envoy.
    pub envoy: &'a Path,
    /// The filter.
    pub module: &'a Path,
    /// Where requests come in; port 0 is any free one.
    pub listen: SocketAddr,
    /// The program that becomes Envoy and dies with us; see [`Launch::guard`].
    pub guard: Option<&'a Path>,
    /// The apex name, as in [`serin_rollout::Plan`].
    pub name: &'a str,
    /// The Canary's namespace.
    pub namespace: &'a str,
    /// Primary's addresses at the beginning.
    pub primary: &'a [SocketAddr],
    /// The time of everything that happens here.
    pub clock: Clock,
}

/// One Envoy between callers and two versions. Dropping it kills Envoy and removes its files.
#[derive(Debug)]
pub struct World {
    // Before its directory: fields are dropped in order.
    pub(super) envoy: Process,
    pub(super) receiver: Receiver,
    files: Files,
    shown: Projection,
    /// What the files hold that wait for a rollback, if they are there.
    way_back: Option<Projection>,
    clock: Clock,
    directory: RunDirectory,
}

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// No directory, no port or no randomness.
    #[error("cannot prepare a run: {0}")]
    Prepare(#[from] std::io::Error),
    /// The module is not there.
    #[error(
        "no filter at {path}: {source}; build it with `cargo xtask wasm`, or name one with --module PATH"
    )]
    Module {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The module is something else.
    #[error(
        "{0} is no WebAssembly module; build the filter with `cargo xtask wasm`, or name it with --module PATH"
    )]
    NotWasm(PathBuf),
    /// Somebody else listens there.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Envoy does not run.
    #[error(transparent)]
    Envoy(#[from] ProcessError),
}

impl World {
    /// Starts Envoy with everything going to primary.
    pub async fn start(setup: &Setup<'_>) -> Result<Self, WorldError> {
        check_module(setup.module)?;
        check_port(setup.listen)?;
        let directory = RunDirectory::make()?;
        let receiver = Receiver::start(&token()?).await?;
        let files = Files::new(&directory.path().join("xds"), setup.module);
        let shown = empty(setup, &receiver);
        files.create(&shown.services)?;
        for update in updates(None, &shown) {
            files.write(&shown, &update)?;
        }
        let admin = directory.path().join("admin.sock");
        let bootstrap = bootstrap(&Bootstrap {
            files: &files,
            listen: setup.listen,
            admin: &admin,
            node: SCOPE,
            services: &shown.services,
            telemetry: receiver.address(),
        });
        let envoy = Process::start(&Launch {
            envoy: setup.envoy,
            guard: setup.guard,
            directory: directory.path(),
            bootstrap: &bootstrap.to_string(),
            admin: &admin,
            listener: LISTENER,
            concurrency: CONCURRENCY,
        })
        .await
        .map_err(|error| taken(setup.listen, error))?;
        Ok(Self { envoy, receiver, files, shown, way_back: None, clock: setup.clock, directory })
    }

    /// Where requests come in.
    pub fn address(&self) -> SocketAddr {
        self.envoy.address()
    }

    /// Where this run keeps its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The time here.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What Envoy was told last.
    pub(super) fn shown(&self) -> &Projection {
        &self.shown
    }

    /// Tells Envoy. What could not be written is written by the next call. The canary gets nothing before the way back
    /// is prepared.
    pub(super) fn show(&mut self, target: &Projection) -> std::io::Result<()> {
        if target.steers() && self.way_back.is_none() {
            let back = target.without_canary();
            self.files.prepare_way_back(&back)?;
            self.way_back = Some(back);
        }
        for update in updates(Some(&self.shown), target) {
            self.files.write(target, &update)?;
        }
        self.shown = target.clone();
        if !target.steers() {
            // The next run goes back to another primary, perhaps.
            self.way_back = None;
        }
        Ok(())
    }

    /// Sends all traffic to primary without writing anything: for what [`World::show`] could not.
    pub(super) fn go_back(&mut self) -> std::io::Result<()> {
        let Some(back) = self.way_back.take() else {
            return Err(std::io::Error::other("no way back is prepared"));
        };
        self.files.go_back(&back)?;
        self.shown = back;
        Ok(())
    }

    /// The files are gone, with their directories: Envoy can be told nothing any more.
    pub(super) fn is_lost(&self) -> bool {
        !self.files.exist()
    }

    /// Lets requests in flight finish, then stops Envoy.
    pub async fn stop(self) {
        self.envoy.stop(GRACE).await;
    }
}

/// All traffic to primary, and a filter that has nothing to do but to report.
fn empty(setup: &Setup<'_>, receiver: &Receiver) -> Projection {
    let service = Service {
        name: setup.name.to_owned(),
        namespace: setup.namespace.to_owned(),
        domains: vec!["*".to_owned()],
        primary: setup.primary.to_vec(),
        canary: Vec::new(),
        steering: None,
        default: Track::Primary,
    };
    let table = Table {
        version: VERSION,
        scope: SCOPE.to_owned(),
        side: Side::Client,
        claim: false,
        reports: Some(Reports {
            cluster: TELEMETRY.to_owned(),
            authority: TELEMETRY.to_owned(),
            path: serin_receiver::PATH.to_owned(),
            token: receiver.token().to_owned(),
            period_ms: PERIOD_MS,
        }),
        rollouts: Vec::new(),
    };
    Projection { services: vec![service], table, revivals: 0 }
}

fn check_module(module: &Path) -> Result<(), WorldError> {
    let mut start = Vec::new();
    File::open(module)
        .and_then(|file| file.take(WASM.len() as u64).read_to_end(&mut start))
        .map_err(|source| WorldError::Module { path: module.to_owned(), source })?;
    if start == WASM { Ok(()) } else { Err(WorldError::NotWasm(module.to_owned())) }
}

/// Somebody else took the port after it was found free.
fn taken(address: SocketAddr, error: ProcessError) -> WorldError {
    match error {
        ProcessError::Taken => {
            let source = std::io::Error::from(std::io::ErrorKind::AddrInUse);
            WorldError::Listen { address, source }
        }
        error => WorldError::Envoy(error),
    }
}

/// Envoy would fail with a page of log.
fn check_port(address: SocketAddr) -> Result<(), WorldError> {
    match std::net::TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(source) => Err(WorldError::Listen { address, source }),
    }
}

fn token() -> std::io::Result<String> {
    use std::fmt::Write as _;
    let mut token = String::new();
    for byte in super::observe::dice()? {
        // Writing into a string cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}
