//! What was seen of one release.

use anyhow::{Result, ensure};
use serin_e2e::{
    calls::Calls,
    client::{Ask, Client},
};
use serin_e2e_mesh::{
    forward::Forward,
    release::{Controller, Release},
};

/// The controller's port of `/metrics`.
const ADMIN: u16 = 8081;

/// One release.
pub(crate) struct Observed {
    /// Seconds from the change to the canary's first answer.
    pub(crate) exposed: f64,
    /// Seconds from the first bad answer until all proxies were known to show weight 0; none of a good one.
    pub(crate) stopped: Option<f64>,
    /// Seconds from the first bad answer to the canary's last of any kind.
    pub(crate) last: Option<f64>,
    /// Seconds from the change to the verdict.
    pub(crate) ended: f64,
    /// Requests of all callers.
    pub(crate) sent: u64,
    /// Answered by the canary.
    pub(crate) canary: u64,
    /// Failed by it.
    pub(crate) failed: u64,
    /// What the controller asked the API server.
    pub(crate) calls: Calls,
}

impl Observed {
    pub(crate) fn line(&self) -> String {
        let (reads, writes) = self.calls.reads_and_writes();
        let seconds =
            |seconds: Option<f64>| seconds.map_or("-".to_owned(), |it| format!("{it:.1} s"));
        format!(
            "first request to the canary after {:.1} s; from the first bad answer {} to weight 0 at all proxies, {} \
             to the canary's last answer; {} of {} requests to the canary, {} failed; over after {:.1} s; {reads} \
             reads, {writes} writes: {}",
            self.exposed,
            seconds(self.stopped),
            seconds(self.last),
            self.canary,
            self.sent,
            self.failed,
            self.ended,
            self.calls.most(),
        )
    }
}

/// What the controller that leads has asked until now.
pub(crate) async fn calls(release: &Release<'_>, controller: &Controller) -> Result<Calls> {
    let leader = controller.leader().await?;
    let client = &release.space.mesh.client;
    let forward = Forward::start(client, &controller.namespace, &leader, ADMIN).await?;
    let answer = Client::new(forward.address()).send(&Ask::get("controller", "/metrics")).await?;
    ensure!(answer.status == 200, "/metrics is answered with {}", answer.status);
    Calls::read(&String::from_utf8_lossy(&answer.body))
}
