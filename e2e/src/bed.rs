//! The bed: Envoy, the upstreams of both tracks for each site, a receiver of reports and a client.

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use anyhow::{Context, Result};
use serin_route::{Report, Rollout, Table};
use tempfile::TempDir;

use crate::{
    client::Client,
    envoy::Envoy,
    eventually, given,
    receiver::Receiver,
    table::{self, RECEIVER_CLUSTER},
    totals::Totals,
    upstream::Upstream,
    xds::{Chain, Files, Plugin, Site},
};

/// What a bed is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The rollouts' routes and upstreams.
    pub sites: Vec<Site>,
    /// The filters before the router.
    pub chain: Chain,
    /// The module, and the table it starts with.
    pub plugin: Option<Plugin>,
    /// Envoy's worker threads.
    pub concurrency: u32,
}

/// Both tracks' upstreams of a site.
pub struct Tracks {
    /// Primary's.
    pub primary: Upstream,
    /// The canary's.
    pub canary: Upstream,
}

/// A running bed. Everything stops when it is dropped.
pub struct Bed {
    /// Talks to Envoy's listener.
    pub client: Client,
    /// Envoy.
    pub envoy: Envoy,
    /// Receives reports.
    pub receiver: Receiver,
    /// The files that Envoy watches.
    pub files: Files,
    plugin: Option<Plugin>,
    tracks: BTreeMap<String, Tracks>,
    vms: usize,
    directory: TempDir,
}

impl Setup {
    /// Sites behind our filter, which starts with an empty table.
    pub fn of(sites: &[&str]) -> Result<Self> {
        let plugin = Plugin {
            name: "serin".to_owned(),
            module: given("SERIN_MODULE")?,
            config: serde_json::to_string(&table::table(&[]))?,
            vm: String::new(),
        };
        Ok(Self {
            sites: sites.iter().map(|name| Site::of(name)).collect(),
            chain: Chain::Discovered,
            plugin: Some(plugin),
            concurrency: 2,
        })
    }

    /// Sites behind no filter at all.
    pub fn bare(sites: &[&str]) -> Self {
        let sites = sites.iter().map(|name| Site::of(name)).collect();
        Self { sites, chain: Chain::Bare, plugin: None, concurrency: 2 }
    }

    /// With sites of one's own making.
    #[must_use]
    pub fn with_sites(mut self, sites: Vec<Site>) -> Self {
        self.sites = sites;
        self
    }

    /// Starts everything and waits until Envoy serves.
    pub async fn start(self) -> Result<Bed> {
        let directory = tempfile::Builder::new().prefix("serin-e2e-").tempdir()?;
        let receiver = Receiver::start().await?;
        let files = Files::in_directory(directory.path());
        let mut tracks = BTreeMap::new();
        for site in &self.sites {
            let [primary, canary] = ["primary", "canary"].map(|track| site.cluster(track));
            let both = Tracks {
                primary: Upstream::start(&primary).await?,
                canary: Upstream::start(&canary).await?,
            };
            files.endpoints(&primary, &[both.primary.address()])?;
            files.endpoints(&canary, &[both.canary.address()])?;
            tracks.insert(site.name.clone(), both);
        }
        files.endpoints(RECEIVER_CLUSTER, &[receiver.address()])?;
        files.routes(&self.sites)?;
        if let Some(plugin) = &self.plugin {
            files.plugin(plugin)?;
        }
        files.listener(&self.chain)?;
        let bootstrap = files.bootstrap(&self.sites)?;
        let mut envoy = Envoy::start(directory.path(), &bootstrap, self.concurrency).await?;
        let client = Client::new(envoy.listening().await?);
        let vms = self.concurrency as usize + 1;
        let plugin = self.plugin;
        Ok(Bed { client, envoy, receiver, files, plugin, tracks, vms, directory })
    }

    /// Starts everything with rollouts in force: every VM has shown them.
    pub async fn start_with(self, rollouts: &[Rollout]) -> Result<Bed> {
        let mut bed = self.start().await?;
        bed.apply(rollouts).await?;
        Ok(bed)
    }
}

impl Bed {
    /// The upstreams of a site.
    pub fn tracks(&self, site: &str) -> &Tracks {
        self.tracks.get(site).expect("a site of this bed")
    }

    /// How many VMs report: one for each worker, and the main thread's.
    pub fn vms(&self) -> usize {
        self.vms
    }

    /// A file of the bed's own, gone with it.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }

    /// Puts rollouts in force and waits until every VM has shown them.
    pub async fn apply(&mut self, rollouts: &[Rollout]) -> Result<()> {
        let applied = Instant::now();
        self.push(&table::table(rollouts))?;
        self.acknowledged(rollouts, applied).await
    }

    /// Writes a table and waits for nothing.
    pub fn push(&mut self, table: &Table) -> Result<()> {
        self.push_text(&serde_json::to_string(table)?)
    }

    /// Writes a configuration of the filter, whatever it holds, and waits for nothing.
    pub fn push_text(&mut self, config: &str) -> Result<()> {
        let plugin = self.plugin.as_mut().context("this bed has no filter")?;
        config.clone_into(&mut plugin.config);
        self.files.plugin(plugin)
    }

    /// Changes the plugin and waits for nothing.
    pub fn change(&mut self, change: impl FnOnce(&mut Plugin)) -> Result<()> {
        let plugin = self.plugin.as_mut().context("this bed has no filter")?;
        change(plugin);
        self.files.plugin(plugin)
    }

    /// Waits until every VM has reported these rollouts, and no others, since then.
    pub async fn acknowledged(&self, rollouts: &[Rollout], since: Instant) -> Result<()> {
        let wanted = identities(rollouts.iter().map(|it| (&it.run, it.generation)));
        let showing = |report: &Report| {
            let shown = identities(report.rollouts.iter().map(|it| (&it.run, it.generation)));
            // Runs that ended stay until their counts have arrived.
            report.problem.is_none() && wanted.iter().all(|it| shown.contains(it))
        };
        eventually("every VM to show the table", async || {
            (self.reporting(since, showing) >= self.vms).then_some(())
        })
        .await
        .with_context(|| self.explain())
    }

    /// How many VMs' newest report since then passes.
    pub fn reporting(&self, since: Instant, passes: impl Fn(&Report) -> bool) -> usize {
        let mut newest = BTreeMap::new();
        for received in self.receiver.received().into_iter().filter(|it| it.at >= since) {
            newest.insert(received.report.boot.clone(), received.report);
        }
        newest.values().filter(|report| passes(report)).count()
    }

    /// Waits until what reports say passes, and stays so for two report periods.
    pub async fn settled(&self, what: &str, passes: impl Fn(&Totals) -> bool) -> Result<Totals> {
        let reached = eventually(what, async || {
            let totals = self.receiver.totals();
            passes(&totals).then_some(())
        });
        if let Err(error) = reached.await {
            return Err(error.context(format!("{:#?}", self.receiver.totals())));
        }
        tokio::time::sleep(std::time::Duration::from_millis(2 * u64::from(table::PERIOD_MS))).await;
        let totals = self.receiver.totals();
        anyhow::ensure!(passes(&totals), "did not last: {what}; {totals:#?}");
        anyhow::ensure!(totals.fallen().is_empty(), "counts fell: {:?}", totals.fallen());
        Ok(totals)
    }

    /// What a reader of a failure wants to know.
    pub fn explain(&self) -> String {
        let received = self.receiver.received();
        let last: Vec<_> = received.iter().rev().take(4).map(|it| &it.report).collect();
        let strange: Vec<_> = self.receiver.strange().into_iter().take(4).collect();
        format!(
            "{} reports, {strange:?} strange, the last ones {last:#?}; {}",
            received.len(),
            self.envoy.log()
        )
    }
}

fn identities<'a>(rollouts: impl Iterator<Item = (&'a String, u64)>) -> Vec<(&'a str, u64)> {
    rollouts.map(|(run, generation)| (run.as_str(), generation)).collect()
}
