//! Whether anything can be judged at all: requests come in, the filter runs and reports. What is missing is told with
//! its likely cause.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::engine::Engine;
use crate::envoy::Admin;

/// Time to start a load generator.
const NO_REQUEST_AFTER: Duration = Duration::from_secs(10);
/// Before a table that nobody shows is taken for shown, which begins this time anew.
const NO_REPORT_AFTER: Duration = Duration::from_secs(20);
/// Time to start an app.
const NOT_READY_AFTER: Duration = Duration::from_secs(3);

/// Between two looks at Envoy's health.
const EVERY: Duration = Duration::from_secs(2);
/// An admin interface that takes longer has nothing to say this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// What Envoy says of itself; nothing where it does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vitals {
    /// Requests that have come in so far.
    pub(super) requests: Option<u64>,
    /// How often Envoy has refused the filter.
    refusals: Option<u64>,
}

/// Asks Envoy apart from all else: an admin interface that is stuck must not hold up a decision.
#[derive(Debug)]
pub(super) struct Health {
    seen: mpsc::Receiver<Vitals>,
    _task: JoinSet<()>,
}

impl Vitals {
    /// Asks once.
    pub(super) async fn ask(admin: &Admin) -> Self {
        let admin = &admin.within(PATIENCE);
        let prefix = "extension_config_discovery.http_filter.serin";
        let (failed, rejected) =
            (format!("{prefix}.config_fail"), format!("{prefix}.update_rejected"));
        let (requests, failed, rejected) = tokio::join!(
            admin.stat("http.ingress.downstream_rq_total"),
            admin.stat(&failed),
            admin.stat(&rejected),
        );
        Self {
            requests,
            refusals: failed.zip(rejected).map(|(failed, rejected)| failed + rejected),
        }
    }
}

impl Health {
    /// Begins to ask.
    pub(super) fn watch(admin: &Admin) -> Self {
        let (sender, seen) = mpsc::channel(1);
        let admin = admin.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            while sender.send(Vitals::ask(&admin).await).await.is_ok() {
                sleep(EVERY).await;
            }
        });
        Self { seen, _task: task }
    }

    /// What was seen next. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Vitals> {
        self.seen.recv().await
    }
}

impl Engine<'_> {
    /// Looks for what keeps a release from being judged. Waits for nothing.
    pub(super) fn look_after_envoy(&mut self, vitals: Vitals) {
        let now = self.world.clock().now();
        let waited = now.duration_since(self.started).unsigned_abs();
        if waited >= NO_REQUEST_AFTER
            && let (Some(before), Some(requests)) = (self.requests_before, vitals.requests)
            && before == requests
        {
            let address = self.world.address();
            self.warn_once(
                now,
                format!("no request has come in yet: send traffic to http://{address}"),
            );
        }
        if waited >= NOT_READY_AFTER {
            self.look_after_addresses(now);
        }
        if !self.heard_any {
            self.look_after_filter(now, vitals);
        }
        self.revive(now);
    }

    fn look_after_addresses(&mut self, now: Timestamp) {
        let (primary, canary) = self.readiness.now();
        for (track, seen) in [("primary", primary), ("canary", canary)] {
            for address in seen.refusing {
                self.warn_once(now, format!("{address} ({track}) accepts no connection"));
            }
        }
    }

    fn look_after_filter(&mut self, now: Timestamp, vitals: Vitals) {
        let cause = match vitals.refusals {
            Some(1..) => format!("Envoy refused the filter ({})", self.world.envoy.first_error()),
            _ if self.expects_reports_for(now) < NO_REPORT_AFTER => return,
            Some(0) => "the filter does not report; its module may be another version's".to_owned(),
            None => "Envoy's admin interface does not answer".to_owned(),
        };
        self.warn_once(now, format!("{cause}: all traffic goes to primary, nothing can be judged"));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// Time stands still until nobody can go on: what passes is what was waited for.
    #[tokio::test(start_paused = true)]
    async fn an_admin_interface_that_is_stuck_is_asked_for_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("admin.sock");
        let stuck = tokio::net::UnixListener::bind(&socket).unwrap();
        let began = Instant::now();
        let mut health = Health::watch(&Admin::new(&socket));
        let nothing = Vitals { requests: None, refusals: None };
        assert_eq!(health.next().await, Some(nothing));
        assert!(began.elapsed() <= PATIENCE + Duration::from_millis(100), "{:?}", began.elapsed());
        assert_eq!(health.next().await, Some(nothing), "and asked again");
        drop(stuck);
    }
}
