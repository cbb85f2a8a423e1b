//! What Envoy calls. Nothing here touches a request: it is counted when it has ended.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, MetricType};

use crate::node::Workload;
use crate::series::{DURATION, REQUESTS, SERIES_MAX, overflow, prefix};
use crate::{Properties, labels};

thread_local! {
    /// The statistics of this VM by the part of their names that holds the labels.
    static SERIES: RefCell<HashMap<String, Series>> = RefCell::default();
}

/// One configuration of the plugin; what it says does not matter.
#[derive(Default)]
pub(crate) struct Root {
    own: Rc<Workload>,
}

struct Stream {
    own: Rc<Workload>,
}

/// The two statistics of one set of labels.
#[derive(Clone, Copy)]
struct Series {
    requests: u32,
    duration: u32,
}

/// The properties of the context that Envoy has called.
struct Host;

impl Properties for Host {
    fn bytes(&self, path: &[&str]) -> Option<Vec<u8>> {
        hostcalls::get_property(path.to_vec()).ok().flatten()
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.own = Rc::new(Workload::own(&Host));
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { own: Rc::clone(&self.own) }))
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_log(&mut self) {
        let Some(series) = Series::of(prefix(&labels(&Host, &self.own))) else { return };
        // Both exist, so neither call can fail.
        let _ = hostcalls::increment_metric(series.requests, 1);
        if let Some(nanoseconds) = Host.number(&["request", "duration"]) {
            let _ = hostcalls::record_metric(series.duration, nanoseconds / 1_000_000);
        }
    }
}

impl Series {
    /// The series of these labels, defined when first needed.
    fn of(labels: String) -> Option<Self> {
        SERIES.with_borrow_mut(|all| {
            if let Some(series) = all.get(&labels) {
                return Some(*series);
            }
            let labels = if all.len() < SERIES_MAX { labels } else { overflow() };
            let series = Self::define(&labels)?;
            all.insert(labels, series);
            Some(series)
        })
    }

    fn define(labels: &str) -> Option<Self> {
        let define = |kind, name| hostcalls::define_metric(kind, &format!("{labels}{name}")).ok();
        Some(Self {
            requests: define(MetricType::Counter, REQUESTS)?,
            duration: define(MetricType::Histogram, DURATION)?,
        })
    }
}
