//! A small web shop in several versions, each on endpoints of its own. What goes wrong goes wrong here, and nowhere in
//! the machinery that is to find it.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dice::Dice;

/// Says which version answered.
pub(crate) const VERSION_HEADER: &str = "x-app-version";
/// Marks a failure that the app made on purpose.
pub(crate) const FAULT_HEADER: &str = "x-app-fault";

/// What is wrong with a version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// This share of requests fails, from 0 to 1.
    Errors(f64),
    /// Every answer takes this much longer.
    Delay(Duration),
}

/// A running version. Dropping it closes its connections.
#[derive(Debug)]
pub(crate) struct Version {
    name: &'static str,
    addresses: Vec<SocketAddr>,
    served: Arc<Served>,
    _tasks: JoinSet<()>,
}

/// What a version has done.
#[derive(Debug, Default)]
struct Served {
    requests: AtomicU64,
    faults: AtomicU64,
    first: OnceLock<Instant>,
}

/// What a connection needs to answer.
struct Shop {
    name: &'static str,
    fault: Fault,
    dice: Dice,
    served: Arc<Served>,
}

/// An endpoint for each pod that the version would have.
const ENDPOINTS: usize = 2;
/// After a connection that could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Version {
    /// Starts a version on free ports of the loopback interface.
    pub(crate) async fn start(
        name: &'static str,
        fault: Fault,
        seed: u64,
    ) -> std::io::Result<Self> {
        let served = Arc::new(Served::default());
        let shop = Shop { name, fault, dice: Dice::new(seed), served: Arc::clone(&served) };
        let shop = Arc::new(shop);
        let (mut addresses, mut tasks) = (Vec::new(), JoinSet::new());
        for _ in 0..ENDPOINTS {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            addresses.push(listener.local_addr()?);
            tasks.spawn(accept(listener, Arc::clone(&shop)));
        }
        Ok(Self { name, addresses, served, _tasks: tasks })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// When its first request arrived.
    pub(crate) fn first_request(&self) -> Option<Instant> {
        self.served.first.get().copied()
    }

    /// Requests so far, and how many of them failed on purpose.
    pub(crate) fn served(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.served.requests), count(&self.served.faults))
    }
}

async fn accept(listener: TcpListener, shop: Arc<Shop>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&shop)));
            }
            // Out of file descriptors, most likely: they come back.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, shop: Arc<Shop>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let shop = Arc::clone(&shop);
        async move { Ok::<_, Infallible>(shop.answer(&request).await) }
    });
    // The caller went away, which is its right.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Shop {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        self.served.requests.fetch_add(1, Ordering::Relaxed);
        self.served.first.get_or_init(Instant::now);
        let page = Page::of(request.method(), request.uri().path());
        tokio::time::sleep(self.work(page)).await;
        let fails = matches!(self.fault, Fault::Errors(share) if self.dice.chance(share));
        if fails {
            self.served.faults.fetch_add(1, Ordering::Relaxed);
            return self.response(
                StatusCode::INTERNAL_SERVER_ERROR,
                "out of order\n",
                Some("error"),
            );
        }
        let status = if page == Page::Missing { StatusCode::NOT_FOUND } else { StatusCode::OK };
        self.response(status, page.body(), None)
    }

    /// How long the answer takes: a few milliseconds with a tail, as real ones have.
    fn work(&self, page: Page) -> Duration {
        let typical_ms = match page {
            Page::Checkout => 9.0,
            Page::Cart => 5.0,
            Page::Home | Page::Missing => 3.0,
        };
        let work =
            Duration::from_secs_f64(typical_ms * (0.6 + 0.5 * self.dice.exponential()) / 1e3);
        if let Fault::Delay(more) = self.fault { work + more } else { work }
    }

    fn response(
        &self,
        status: StatusCode,
        body: &'static str,
        fault: Option<&'static str>,
    ) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(VERSION_HEADER, hyper::header::HeaderValue::from_static(self.name));
        if let Some(fault) = fault {
            headers.insert(FAULT_HEADER, hyper::header::HeaderValue::from_static(fault));
        }
        response
    }
}

/// What the shop can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Home,
    Cart,
    Checkout,
    Missing,
}

impl Page {
    fn of(method: &Method, path: &str) -> Self {
        match (method, path) {
            (&Method::GET, "/") => Self::Home,
            (&Method::GET, "/api/cart") => Self::Cart,
            (&Method::POST, "/checkout") => Self::Checkout,
            _ => Self::Missing,
        }
    }

    fn body(self) -> &'static str {
        match self {
            Self::Home => "<!DOCTYPE html><title>Shop</title><h1>Birdseed, fresh</h1>\n",
            Self::Cart => "{\"items\":[{\"name\":\"millet\",\"count\":2}]}\n",
            Self::Checkout => "{\"order\":\"placed\"}\n",
            Self::Missing => "no such page\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Load;
    use super::*;

    #[tokio::test]
    async fn faults_are_marked_and_counted() {
        let version = Version::start("v9", Fault::Errors(1.0), 1).await.expect("free ports");
        assert_eq!(version.first_request(), None);
        let load = Load::start(version.addresses()[0], 500.0, 1);
        load.answered(20).await;
        let counts = load.stop().await;
        assert_eq!(counts.failed_by_app, counts.requests);
        assert_eq!(counts.failed_otherwise, 0);
        assert_eq!(version.served(), (counts.requests, counts.requests));
        assert!(version.first_request().is_some());
        assert_eq!(version.name(), "v9");
    }

    #[test]
    fn pages_are_told_by_method_and_path() {
        assert_eq!(Page::of(&Method::GET, "/"), Page::Home);
        assert_eq!(Page::of(&Method::POST, "/checkout"), Page::Checkout);
        assert_eq!(Page::of(&Method::GET, "/checkout"), Page::Missing);
    }
}
