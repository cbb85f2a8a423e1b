//! The root context: one for each configuration. It loads the table and, while it leads its scope, reports.

use proxy_wasm::types::MapType;

use crate::host;
use crate::loaded::Configured;
use crate::metrics::Event;
use crate::reporter::report;
use crate::scope::Scope;
use crate::vm::{self, SharedScope, Vm};

/// The period of a root context that leads no more: it only looks whether it does again.
const RETIRED_MS: u32 = 10_000;
/// The period where no reports are wanted: Envoy's statistics alone.
const UNREPORTED_MS: u32 = 1_000;

/// A root context.
#[derive(Debug)]
pub(crate) struct Root {
    id: u32,
    configured: Option<(SharedScope, Configured)>,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        Self { id, configured: None }
    }

    /// What a new stream of this configuration belongs to. The stream may be the sign that Envoy has gone back to it.
    pub(crate) fn stream(&self) -> Option<SharedScope> {
        let (scope, configured) = self.configured.as_ref()?;
        let is_back = scope.try_borrow_mut().is_ok_and(|mut it| it.is_back(configured));
        if is_back {
            vm::with(|vm| vm.lead(self.id, scope, configured.clone()));
            wake(self.id, scope);
        }
        Some(scope.clone())
    }

    /// Takes up the configuration.
    pub(crate) fn configure(&mut self) -> Option<()> {
        self.leave();
        self.configured = vm::with(|vm| vm.configure(self.id)).flatten();
        let mut scope = self.scope()?.try_borrow_mut().ok()?;
        host::set_tick_period_ms(period(&mut scope)?);
        Some(())
    }

    /// Ends a flush, and reports.
    pub(crate) fn tick(&mut self) -> Option<()> {
        let mut scope = self.scope()?.try_borrow_mut().ok()?;
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
        let mut scope = self.scope()?.try_borrow_mut().ok()?;
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
        let Some((scope, _)) = self.configured.take() else { return };
        if let Some(heir) = vm::with(|vm| vm.leave(self.id, &scope)).flatten() {
            wake(heir, &scope);
        }
    }

    fn scope(&self) -> Option<&SharedScope> {
        self.configured.as_ref().map(|(scope, _)| scope)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Has a root context tick that leads again: it may have had nothing to tick for.
fn wake(root: u32, scope: &SharedScope) {
    let Ok(mut scope) = scope.try_borrow_mut() else { return };
    if let Some(period_ms) = period(&mut scope) {
        host::set_tick_period_ms_of(root, period_ms);
    }
}

/// Ends a flush: tells Envoy's statistics and, if it is time, the receiver. The new tick period, if it changes.
fn flush(root: u32, vm: &mut Vm, scope: &mut Scope) -> Option<u32> {
    let now_ns = host::now_ns();
    scope.publish(|delta| vm.metrics.served(delta));
    scope.tally.flush(now_ns);
    let loaded = scope.loaded.clone();
    let busy = scope.is_busy();
    match &loaded.router.table().reports {
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
    let loaded = scope.loaded.clone();
    match &loaded.router.table().reports {
        Some(to) => scope.reporter.period(to.period_ms, busy, &mut scope.random),
        None => Some(if busy { UNREPORTED_MS } else { 0 }),
    }
}
