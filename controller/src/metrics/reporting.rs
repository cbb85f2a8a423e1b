//! How many proxies of each scope report, counted at each scrape.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::clock;
use crate::feed::Feed;

/// Follows the term of leading that there is.
#[derive(Default)]
pub(super) struct Reporting(Mutex<Weak<Feed>>);

impl Reporting {
    pub(super) fn follow(&self, feed: Option<&Arc<Feed>>) {
        let feed = feed.map(Arc::downgrade).unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = feed;
    }
}

impl fmt::Debug for Reporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting").finish_non_exhaustive()
    }
}

impl Collector for Reporting {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("serin_reporting_proxies", "Proxies heard in the last five seconds");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let feed = self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let reporting = feed.map(|feed| feed.reporting(clock::now())).unwrap_or_default();
        for (scope, proxies) in reporting {
            let labels = [("scope", scope)];
            let proxies = i64::try_from(proxies).unwrap_or(i64::MAX);
            ConstGauge::new(proxies).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
