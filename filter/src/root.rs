//! The root context: one for each configuration. It loads the table and, while it is its scope's newest, reports.

use proxy_wasm::types::MapType;

use crate::host;
use crate::metrics::Event;
use crate::reporter::report;
use crate::scope::Scope;
use crate::vm::{self, SharedScope, Vm};

/// The period of an older root context: it only looks whether the newer ones are gone.
const RETIRED_MS: u32 = 10_000;
/// The period where no reports are wanted: Envoy's statistics alone.
const UNREPORTED_MS: u32 = 1_000;

/// A root context.
#[derive(Debug)]
pub(crate) struct Root {
    id: u32,
    scope: Option<SharedScope>,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        Self { id, scope: None }
    }

    /// What a stream of this configuration belongs to.
    pub(crate) fn scope(&self) -> Option<SharedScope> {
        self.scope.clone()
    }

    /// Takes up the configuration.
    pub(crate) fn configure(&mut self) -> Option<()> {
        self.leave();
        self.scope = vm::with(|vm| vm.configure(self.id)).flatten();
        let mut scope = self.scope.as_ref()?.try_borrow_mut().ok()?;
        host::set_tick_period_ms(period(&mut scope)?);
        Some(())
    }

    /// Ends a flush, and reports.
    pub(crate) fn tick(&mut self) -> Option<()> {
        let mut scope = self.scope.as_ref()?.try_borrow_mut().ok()?;
        let period_ms = if scope.is_led_by(self.id) {
            vm::with(|vm| flush(self.id, vm, &mut scope))?
        } else {
            Some(RETIRED_MS)
        };
        host::set_tick_period_ms(period_ms?);
        Some(())
    }

    /// Takes the answer to a report.
    pub(crate) fn answer(&mut self, token: u32) -> Option<()> {
        let mut scope = self.scope.as_ref()?.try_borrow_mut().ok()?;
        let status = host::header(MapType::HttpCallResponseHeaders, ":status");
        let delivered = status.as_deref() == Some(b"200");
        let sequence = scope.reporter.answered(token, delivered)?;
        if delivered {
            scope.tally.acknowledge(sequence);
        }
        let event = if delivered { Event::ReportDelivered } else { Event::ReportFailed };
        vm::with(|vm| vm.metrics.count(event));
        if scope.is_led_by(self.id) {
            host::set_tick_period_ms(period(&mut scope)?);
        }
        Some(())
    }

    fn leave(&mut self) {
        if let Some(scope) = self.scope.take() {
            vm::with(|vm| vm.leave(self.id, &scope));
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Ends a flush: tells Envoy's statistics and, if it is time, the receiver. The new tick period, if it changes.
fn flush(root: u32, vm: &mut Vm, scope: &mut Scope) -> Option<u32> {
    let now_ns = host::now_ns();
    scope.publish(|delta| vm.metrics.served(delta));
    scope.tally.flush(now_ns);
    let router = scope.router.clone();
    let busy = scope.is_busy();
    match &router.table().reports {
        None => scope.tally.settle(),
        Some(_) if !scope.reporter.is_due(now_ns, busy) => {}
        Some(to) => {
            let sequence = vm.next_sequence();
            let report = report(&vm.node, &vm.boot, sequence, scope);
            if !scope.reporter.send(root, &report, to, now_ns) {
                vm.metrics.count(Event::ReportFailed);
            }
        }
    }
    period(scope)
}

/// The tick period from now on, if it changes.
fn period(scope: &mut Scope) -> Option<u32> {
    let busy = scope.is_busy();
    let router = scope.router.clone();
    match &router.table().reports {
        Some(to) => scope.reporter.period(to.period_ms, busy, &mut scope.random),
        None => Some(if busy { UNREPORTED_MS } else { 0 }),
    }
}
