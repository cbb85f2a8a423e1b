//! Requests as Envoy takes them through a filter, from the first header to the log.

use std::collections::BTreeMap;

use crate::host::Vm;

/// Headers in their order.
pub(super) type Headers = Vec<(String, Vec<u8>)>;

/// Which route Envoy finds for a request.
#[derive(Clone, Debug)]
pub enum Routes {
    /// None.
    Missing,
    /// This one, whatever the headers say.
    Named(Vec<u8>),
    /// A rollout's: the canary's for its nonce, else the primary's.
    Rollout {
        /// `name.namespace`.
        place: String,
        /// What the canary's route matches.
        nonce: String,
    },
}

/// A request before it meets the filter.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request's headers.
    pub request: Headers,
    /// Where it may go.
    pub routes: Routes,
    /// `xds.cluster_name`.
    pub cluster: String,
    /// Further properties, by path with NUL between the parts.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What becomes of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `response.code`.
    pub code: Option<u64>,
    /// `response.flags`.
    pub flags: u64,
    /// The answer's headers, none if it never had any.
    pub headers: Option<Headers>,
    /// Its trailers.
    pub trailers: Headers,
    /// `upstream.address`.
    pub upstream: Option<String>,
    /// `upstream.request_attempt_count`.
    pub attempts: u64,
    /// Whether the headers are all of it.
    pub is_whole: bool,
    /// The route that it took in the end, where that is not what its headers say.
    pub route: Option<String>,
}

impl Exchange {
    /// A GET that routes decide about.
    pub fn get(routes: Routes) -> Self {
        let mut exchange = Self {
            request: Vec::new(),
            routes,
            cluster: "outbound|80||shop".into(),
            properties: BTreeMap::new(),
        };
        for (name, value) in [(":method", "GET"), (":path", "/"), (":authority", "shop")] {
            exchange = exchange.with(name, value);
        }
        exchange
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }
}

impl Answer {
    /// One of the upstream's.
    pub fn of(code: u64) -> Self {
        Self {
            code: Some(code),
            flags: 0,
            headers: Some(Vec::new()),
            trailers: Vec::new(),
            upstream: Some("10.0.0.1:8080".into()),
            attempts: 1,
            is_whole: false,
            route: None,
        }
    }
}

/// A request on its way.
pub(super) struct Stream {
    pub(super) request: Headers,
    pub(super) response: Headers,
    pub(super) trailers: Headers,
    pub(super) phase: Phase,
    /// The filter changed a header, so Envoy will look for the route anew.
    pub(super) rerouted: bool,
    routes: Routes,
    properties: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Request,
    Response,
    Log,
}

impl Stream {
    fn new(exchange: &Exchange) -> Self {
        let mut stream = Self {
            request: exchange.request.clone(),
            response: Vec::new(),
            trailers: Vec::new(),
            phase: Phase::Request,
            rerouted: false,
            routes: exchange.routes.clone(),
            properties: exchange.properties.clone(),
        };
        stream.properties.insert(b"xds\0cluster_name".to_vec(), exchange.cluster.clone().into());
        stream.route();
        stream
    }

    pub(super) fn property(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.properties.get(path).cloned()
    }

    pub(super) fn set_property(&mut self, path: &[u8], value: &[u8]) {
        self.properties.insert(path.to_vec(), value.to_vec());
    }

    fn route(&mut self) {
        let name = match &self.routes {
            Routes::Missing => return,
            Routes::Named(name) => name.clone(),
            Routes::Rollout { place, nonce } => {
                let steered = |(name, value): &(String, Vec<u8>)| {
                    name == "x-serin-track" && value == nonce.as_bytes()
                };
                let canary = self.request.iter().any(steered);
                let kind = if canary { "canary" } else { "primary" };
                format!("serin/{place}/{kind}.default").into_bytes()
            }
        };
        self.properties.entry(b"xds\0route_name".to_vec()).insert_entry(name);
    }

    fn end(&mut self, answer: &Answer) {
        self.phase = Phase::Log;
        if self.rerouted {
            self.route();
        }
        if let Some(route) = &answer.route {
            self.properties.insert(b"xds\0route_name".to_vec(), route.clone().into_bytes());
        }
        self.trailers.clone_from(&answer.trailers);
        let mut number = |path: &[u8], value: u64| {
            self.properties.entry(path.to_vec()).or_insert_with(|| value.to_le_bytes().to_vec());
        };
        number(b"response\0flags", answer.flags);
        number(b"upstream\0request_attempt_count", answer.attempts);
        if let Some(code) = answer.code {
            number(b"response\0code", code);
        }
        if let Some(address) = &answer.upstream {
            let path = b"upstream\0address".to_vec();
            self.properties.entry(path).or_insert_with(|| address.clone().into_bytes());
        }
    }
}

impl Vm {
    /// A request meets the filter of a root context. Its id.
    pub fn begin(&mut self, root: u32, exchange: &Exchange) -> u32 {
        let id = self.open(root, exchange);
        self.request_headers(id);
        id
    }

    /// A request whose headers the filter has not seen, and will not if Envoy itself refuses it.
    pub fn open(&mut self, root: u32, exchange: &Exchange) -> u32 {
        self.next += 1;
        let id = self.next;
        self.world_mut().streams.insert(id, Stream::new(exchange));
        self.enter(id, |vm| &vm.context_create, (id, root));
        id
    }

    /// Hands the request's headers to the filter.
    pub fn request_headers(&mut self, id: u32) {
        let action = self.enter(id, |vm| &vm.request_headers, (id, 3, 1));
        assert_eq!(action, 0, "the filter never holds a request");
    }

    /// The answer's headers pass the filter.
    pub fn respond(&mut self, id: u32, answer: &Answer) {
        let Some(headers) = &answer.headers else { return };
        if let Some(stream) = self.world_mut().streams.get_mut(&id) {
            stream.phase = Phase::Response;
            stream.response.clone_from(headers);
            if let Some(code) = answer.code {
                stream.response.push((":status".to_owned(), code.to_string().into_bytes()));
            }
        }
        let arguments = (id, 1, answer.is_whole.into());
        let action = self.enter(id, |vm| &vm.response_headers, arguments);
        assert_eq!(action, 0, "the filter never holds an answer");
    }

    /// The request is over and logged.
    pub fn log(&mut self, id: u32, answer: &Answer) {
        if let Some(stream) = self.world_mut().streams.get_mut(&id) {
            stream.end(answer);
        }
        self.enter(id, |vm| &vm.log, id);
    }

    /// A request from its first header to its end; what is left of it.
    pub fn exchange(&mut self, root: u32, exchange: &Exchange, answer: &Answer) -> Passed {
        let id = self.begin(root, exchange);
        self.finish(id, answer)
    }

    /// The end of a request.
    pub fn finish(&mut self, id: u32, answer: &Answer) -> Passed {
        self.respond(id, answer);
        self.log(id, answer);
        let passed = self.passed(id);
        self.delete(id);
        passed
    }

    /// A request's headers and its answer's, as the filter has left them so far.
    pub fn passed(&self, id: u32) -> Passed {
        let stream = self.world().streams.get(&id).expect("the request is on its way");
        Passed { request: stream.request.clone(), response: stream.response.clone() }
    }
}

/// What went to the upstream, and what to the client.
#[derive(Clone, Debug)]
pub struct Passed {
    request: Headers,
    response: Headers,
}

impl Passed {
    /// A header of the request.
    pub fn request(&self, name: &str) -> Option<&[u8]> {
        first(&self.request, name)
    }

    /// A header of the answer.
    pub fn response(&self, name: &str) -> Option<&[u8]> {
        first(&self.response, name)
    }
}

pub(super) fn first<'h>(headers: &'h Headers, name: &str) -> Option<&'h [u8]> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
}
