//! Whether anything can be judged at all: requests come in, the filter runs and reports. What is missing is told with
//! its likely cause.

use std::time::Duration;

use jiff::Timestamp;

use super::World;
use super::engine::Engine;

/// Time to start a load generator.
const NO_REQUEST_AFTER: Duration = Duration::from_secs(10);
const NO_REPORT_AFTER: Duration = Duration::from_secs(30);
/// Time to start an app.
const NOT_READY_AFTER: Duration = Duration::from_secs(3);

impl World {
    /// Requests that have come in so far; none if Envoy does not say.
    pub(super) async fn requests(&self) -> Option<u64> {
        self.envoy.admin().stat("http.ingress.downstream_rq_total").await
    }

    /// How often Envoy has refused the filter.
    async fn refusals(&self) -> Option<u64> {
        let prefix = "extension_config_discovery.http_filter.serin";
        let admin = self.envoy.admin();
        let failed = admin.stat(&format!("{prefix}.config_fail")).await?;
        let rejected = admin.stat(&format!("{prefix}.update_rejected")).await?;
        Some(failed + rejected)
    }
}

impl Engine<'_> {
    /// Looks for what keeps a release from being judged.
    pub(super) async fn look_after_envoy(&mut self) {
        let now = self.world.clock().now();
        let waited = now.duration_since(self.started).unsigned_abs();
        if waited >= NO_REQUEST_AFTER
            && let (Some(before), Some(requests)) =
                (self.requests_before, self.world.requests().await)
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
            self.look_after_filter(now).await;
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

    async fn look_after_filter(&mut self, now: Timestamp) {
        let refused = self.world.refusals().await;
        let cause = match refused {
            Some(1..) => format!("Envoy refused the filter ({})", self.world.envoy.first_error()),
            _ if self.expects_reports_for(now) < NO_REPORT_AFTER => return,
            Some(0) => "the filter does not report; its module may be another version's".to_owned(),
            None => "Envoy's admin interface does not answer".to_owned(),
        };
        self.warn_once(now, format!("{cause}: all traffic goes to primary, nothing can be judged"));
    }
}
