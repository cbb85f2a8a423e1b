//! Many requests at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use serin_route::Track;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::{Answer, Ask, Client};

/// Answers, counted by who gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// By primary's upstream.
    pub primary: u64,
    /// By the canary's upstream.
    pub canary: u64,
    /// Of all, with a status of 500 and above.
    pub errors: u64,
    /// By neither.
    pub neither: u64,
}

impl Split {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.primary + self.canary + self.neither
    }

    fn count(&mut self, answer: &Answer) {
        let by = match answer.track() {
            Some(Track::Primary) => &mut self.primary,
            Some(Track::Canary) => &mut self.canary,
            None => &mut self.neither,
        };
        *by += 1;
        self.errors += u64::from(answer.status >= 500);
    }
}

/// Sends `n` requests, sixteen at a time. An error if any is not answered.
pub async fn send_all(
    client: &Client,
    n: u64,
    ask: impl Fn(u64) -> Ask + Send + Sync + 'static,
) -> Result<Split> {
    let answers = answers(client, n, ask).await?;
    let mut split = Split::default();
    for answer in &answers {
        split.count(answer);
    }
    Ok(split)
}

/// Sends `n` requests, sixteen at a time, and keeps the answers in order.
pub async fn answers(
    client: &Client,
    n: u64,
    ask: impl Fn(u64) -> Ask + Send + Sync + 'static,
) -> Result<Vec<Answer>> {
    let (ask, next) = (Arc::new(ask), Arc::new(AtomicU64::new(0)));
    let mut workers = JoinSet::new();
    for _ in 0..16.min(n) {
        let (client, ask, next) = (client.clone(), Arc::clone(&ask), Arc::clone(&next));
        workers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= n {
                    return anyhow::Ok(mine);
                }
                mine.push((index, client.send(&ask(index)).await?));
            }
        });
    }
    let mut all = Vec::new();
    while let Some(mine) = workers.join_next().await {
        all.extend(mine??);
    }
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, answer)| answer).collect())
}

/// A steady load in the background, until it is stopped.
pub struct Steady {
    stop: Arc<AtomicBool>,
    begun: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Result<Split>>>,
}

impl Steady {
    /// Starts it: some workers, each pausing between two requests.
    pub fn start(
        client: &Client,
        workers: u32,
        pause: Duration,
        ask: impl Fn(u64) -> Ask + Send + Sync + 'static,
    ) -> Self {
        let (stop, ask) = (Arc::new(AtomicBool::new(false)), Arc::new(ask));
        let next = Arc::new(AtomicU64::new(0));
        let work = |_| {
            let (client, ask) = (client.clone(), Arc::clone(&ask));
            let (stop, next) = (Arc::clone(&stop), Arc::clone(&next));
            tokio::spawn(async move {
                let mut split = Split::default();
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    split.count(&client.send(&ask(index)).await?);
                    tokio::time::sleep(pause).await;
                }
                Ok(split)
            })
        };
        let workers = (0..workers).map(work).collect();
        Self { stop, begun: next, workers }
    }

    /// Waits until so many more requests have begun.
    pub async fn more(&self, requests: u64) -> Result<()> {
        let until = self.begun.load(Ordering::Relaxed) + requests;
        crate::eventually("more requests", async || {
            (self.begun.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await
    }

    /// Stops it and says who answered. An error if any request was not answered.
    pub async fn stop(self) -> Result<Split> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Split::default();
        for worker in self.workers {
            let Split { primary, canary, errors, neither } = worker.await??;
            all.primary += primary;
            all.canary += canary;
            all.errors += errors;
            all.neither += neither;
        }
        if all.total() == 0 {
            bail!("the load was stopped before its first answer");
        }
        Ok(all)
    }
}
