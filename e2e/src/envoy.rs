//! One Envoy process: started, asked by its admin interface, and gone when dropped.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Child;

use crate::{
    PATIENCE,
    children::child,
    client::{Ask, Client},
    eventually,
};

/// A running Envoy.
pub struct Envoy {
    child: Child,
    admin: Client,
    log: PathBuf,
}

impl Envoy {
    /// Starts the Envoy that `SERIN_ENVOY` names and waits for its admin interface.
    pub async fn start(directory: &Path, bootstrap: &Path, concurrency: u32) -> Result<Self> {
        let log = directory.join("envoy.log");
        let admin = directory.join("admin");
        let child = child(&crate::given("SERIN_ENVOY")?)?
            .arg("--config-path")
            .arg(bootstrap)
            .arg("--admin-address-path")
            .arg(&admin)
            .args(["--concurrency", &concurrency.to_string(), "--disable-hot-restart"])
            .args(["--log-level", "info", "--drain-time-s", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .context("Envoy could not be started")?;
        let address: SocketAddr = eventually("Envoy to say where its admin listens", async || {
            std::fs::read_to_string(&admin).ok()?.trim().parse().ok()
        })
        .await
        .with_context(|| tail(&log))?;
        Ok(Self { child, admin: Client::new(address), log })
    }

    /// Waits until it serves, and returns where.
    pub async fn listening(&mut self) -> Result<SocketAddr> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("Envoy ended with {status}; {}", tail(&self.log));
            }
            if let Some(address) = self.listener().await {
                return Ok(address);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("no listener within {PATIENCE:?}; {}", tail(&self.log));
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// What its admin interface answers.
    pub async fn admin(&self, path: &str) -> Result<String> {
        let answer = self.admin.send(&Ask::get("admin", path)).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// One of its counters or gauges; none if there is no such.
    pub async fn stat(&self, name: &str) -> Result<Option<u64>> {
        let stats = self.admin(&format!("/stats?filter=^{}$", name.replace('.', "\\."))).await?;
        Ok(stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok()))
    }

    /// One of its statistics as Prometheus reads it, by its name and labels; none if there is no such.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<Option<u64>> {
        let all = self.admin("/stats/prometheus").await?;
        let labelled = |line: &&str| {
            let has =
                |(label, value): &(&str, &str)| line.contains(&format!("{label}=\"{value}\""));
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
                && labels.iter().all(has)
        };
        Ok(all.lines().find(labelled).and_then(|line| line.rsplit(' ').next()?.parse().ok()))
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("Envoy has ended")
    }

    /// The end of its log, for the reader of an error.
    pub fn log(&self) -> String {
        tail(&self.log)
    }

    async fn listener(&self) -> Option<SocketAddr> {
        if self.admin("/ready").await.ok()?.trim() != "LIVE" {
            return None;
        }
        let listeners = self.admin("/listeners?format=json").await.ok()?;
        let listeners: Value = serde_json::from_str(&listeners).ok()?;
        let place = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
        let port = u16::try_from(place.get("port_value")?.as_u64()?).ok()?;
        Some(SocketAddr::from(([127, 0, 0, 1], port)))
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
    format!("the end of its log:\n{}", end.join("\n"))
}
