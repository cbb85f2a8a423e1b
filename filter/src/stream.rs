//! One request: steered before Envoy sends it on, counted when it is over.
//!
//! Calls to the host are what a filter costs, so each is made only where its answer is needed: a request that is on
//! no route of ours costs one.

use std::rc::Rc;

use proxy_wasm::types::MapType;
use serin_route::{
    Assignment, Closing, Decision, Ending, Kind, Opening, Outcome, Place, Rollout, Router, Scheme,
    Secure, Side, TRACK_HEADER, Ticket, Track, set_cookie,
};

use crate::host;
use crate::loaded::End;
use crate::request::Headers;
use crate::scope::Scope;
use crate::vm::SharedScope;

const ROUTE_NAME: &str = "xds\0route_name";
const CLUSTER_NAME: &str = "xds\0cluster_name";
/// Says to the scopes behind us in this Envoy that this stream is ours.
const CLAIM: &str = "serin.claim";

/// A request and its answer.
#[derive(Debug)]
pub(crate) struct Stream {
    scope: Option<SharedScope>,
    in_flight: Option<InFlight>,
    /// The `set-cookie` that the answer is to carry.
    cookie: Option<String>,
}

/// A request that is counted.
#[derive(Debug)]
struct InFlight {
    ticket: Ticket,
    end: Rc<End>,
    seen_by: SeenBy,
}

/// What tells which track a request went to.
#[derive(Clone, Copy, Debug)]
enum SeenBy {
    Route,
    Cluster,
    /// This filter stands before the canary's own pods.
    Server,
}

/// A request about to be counted.
struct Found {
    opening: Opening,
    seen_by: SeenBy,
}

impl Stream {
    pub(crate) fn new(scope: Option<SharedScope>) -> Self {
        Self { scope, in_flight: None, cookie: None }
    }

    /// Steers the request, and counts it in. None if it is none of ours.
    pub(crate) fn enter(&mut self) -> Option<()> {
        let mut scope = self.scope.as_ref()?.try_borrow_mut().ok()?;
        let loaded = scope.loaded.clone();
        let router = &loaded.router;
        if router.table().rollouts.is_empty() {
            return None;
        }
        let (found, cookie) = match router.table().side {
            Side::Server => (on_canary_pod(), None),
            Side::Client => on_caller(router, &mut scope)?,
        };
        self.cookie = cookie;
        let end = loaded.end(found.opening.rollout)?.clone();
        let ticket = scope.tally.open(found.opening)?;
        self.in_flight = Some(InFlight { ticket, end, seen_by: found.seen_by });
        Some(())
    }

    /// Counts the request out.
    pub(crate) fn leave(&mut self) -> Option<()> {
        let in_flight = self.in_flight.take()?;
        let end = &in_flight.end;
        let ending = ending(end);
        let outcome = Outcome::of(ending);
        let upstream =
            if outcome.is_failure() { host::property("upstream\0address") } else { None };
        let attempts =
            if end.retries { host::number("upstream\0request_attempt_count") } else { None };
        let closing = Closing {
            served: in_flight.served(),
            outcome,
            delayed: ending.is_delayed(),
            attempts: attempts.unwrap_or(0),
            upstream: upstream.as_deref(),
            at_ns: host::now_ns(),
        };
        let mut scope = self.scope.as_ref()?.try_borrow_mut().ok()?;
        scope.tally.close(in_flight.ticket, &closing);
        Some(())
    }

    /// Hands the affinity cookie to the client, and looks whether the connection becomes another kind. The answer's
    /// `upgrade` header is looked for first: asking in vain is cheap.
    pub(crate) fn answer(&mut self, is_whole: bool) -> Option<()> {
        if let Some(cookie) = self.cookie.take() {
            host::add_header(MapType::HttpResponseHeaders, "set-cookie", &cookie);
        }
        let in_flight = self.in_flight.as_ref().filter(|_| !is_whole)?;
        host::header(MapType::HttpResponseHeaders, "upgrade")?;
        // An ordinary answer may offer one: Apache's says `Upgrade: h2,h2c`.
        let status = host::header(MapType::HttpResponseHeaders, ":status")?;
        (status == b"101").then_some(())?;
        let mut scope = self.scope.as_ref()?.try_borrow_mut().ok()?;
        scope.tally.upgrade(&in_flight.ticket);
        Some(())
    }
}

impl Drop for Stream {
    /// A stream that ends without a log is one whose end nobody saw.
    fn drop(&mut self) {
        let Some(in_flight) = self.in_flight.take() else { return };
        let Some(scope) = &self.scope else { return };
        if let Ok(mut scope) = scope.try_borrow_mut() {
            scope.tally.forget(in_flight.ticket);
        }
    }
}

impl InFlight {
    /// The track that served: what Envoy did, not what we wished.
    fn served(&self) -> Option<Track> {
        match self.seen_by {
            SeenBy::Server => Some(Track::Canary),
            SeenBy::Cluster => self.end.track_of_cluster(&host::property(CLUSTER_NAME)?),
            SeenBy::Route => self.end.track_of_route(&host::property(ROUTE_NAME)?),
        }
    }
}

/// A canary's pod counts everything that reaches it, for the one rollout that its table holds.
fn on_canary_pod() -> Found {
    Found { opening: addressed(0, Track::Canary), seen_by: SeenBy::Server }
}

/// A caller's side: by the route that Envoy has chosen, or else by the cluster that the request is addressed to.
fn on_caller(router: &Router, scope: &mut Scope) -> Option<(Found, Option<String>)> {
    let place = host::property(ROUTE_NAME).and_then(|name| router.locate(&name));
    match place {
        Some(Place { rollout, kind: kind @ (Kind::Primary | Kind::Canary) }) => {
            is_unclaimed(router).then_some(())?;
            steer(router, rollout, kind, scope)
        }
        None if router.counts_direct() => {
            let (rollout, track) = router.direct(&host::property(CLUSTER_NAME)?)?;
            is_unclaimed(router).then_some(())?;
            Some((Found { opening: addressed(rollout, track), seen_by: SeenBy::Cluster }, None))
        }
        Some(Place { kind: Kind::Unscoped | Kind::Failover, .. }) | None => None,
    }
}

/// A request that was sent to one track by its caller.
fn addressed(rollout: usize, track: Track) -> Opening {
    let (assignment, at_ns) = (Assignment::Direct, host::now_ns());
    Opening { rollout, track, assignment, key: None, route: None, at_ns }
}

/// Decides, and changes the header only where Envoy's choice differs: each change has it search its routes again. One
/// that fails shows in the end, as a request that another track served than decided.
fn steer(
    router: &Router,
    rollout: usize,
    kind: Kind,
    scope: &mut Scope,
) -> Option<(Found, Option<String>)> {
    let headers = Headers::of(router.needs(rollout));
    let decision = router.decide(rollout, &headers, scope.random.dice())?;
    let settings = router.rollout(rollout)?;
    match (decision.track, kind) {
        (Track::Canary, Kind::Primary) => {
            host::set_header(MapType::HttpRequestHeaders, TRACK_HEADER, &settings.nonce);
        }
        (Track::Primary, Kind::Canary) => {
            host::remove_header(MapType::HttpRequestHeaders, TRACK_HEADER);
        }
        _ => {}
    }
    let cookie = cookie(settings, &decision, &headers);
    let Decision { track, assignment, key, route, .. } = decision;
    let opening = Opening { rollout, track, assignment, key, route, at_ns: host::now_ns() };
    Some((Found { opening, seen_by: SeenBy::Route }, cookie))
}

/// The `set-cookie` for an id minted by a decision. Made now, for the request's headers are gone when its answer comes.
fn cookie(rollout: &Rollout, decision: &Decision, headers: &Headers<'_>) -> Option<String> {
    let (affinity, id) = (rollout.affinity.as_ref()?, decision.cookie?);
    let scheme = match affinity.secure {
        Secure::WhenHttps => Scheme::of(headers),
        Secure::Always | Secure::Never => Scheme::Http,
    };
    Some(set_cookie(affinity, id, scheme))
}

/// Claims the stream, unless a scope before us has. One that cannot be claimed is left alone: the scope behind us could
/// not tell that we have acted.
fn is_unclaimed(router: &Router) -> bool {
    if !router.table().claim {
        return true;
    }
    if host::property(CLAIM).is_some_and(|claim| !claim.is_empty()) {
        return false;
    }
    host::set_property(CLAIM, b"1")
}

fn ending(end: &End) -> Ending {
    let code = host::number("response\0code");
    let flags = host::number("response\0flags").unwrap_or(0);
    // Only an answer of 200 carries a gRPC status, and an answer without messages carries it among its headers.
    let grpc = if end.grpc && code == Some(200) {
        grpc_status(MapType::HttpResponseTrailers)
            .or_else(|| grpc_status(MapType::HttpResponseHeaders))
    } else {
        None
    };
    Ending { code, flags, grpc }
}

fn grpc_status(map: MapType) -> Option<u32> {
    std::str::from_utf8(&host::header(map, "grpc-status")?).ok()?.parse().ok()
}
