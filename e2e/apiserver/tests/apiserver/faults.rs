//! What may happen to a request of the controller's: a layer in front of its client. It also confines the controller to
//! one namespace, so that many may run against one API server.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use hyper::{Method, Request, Response, Uri, body::Bytes};
use kube::client::{Body, DynBody};
use serde_json::json;
use tokio::sync::Notify;
use tower::{BoxError, Layer, Service};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Passes,
    /// The process ends before it is sent.
    DiesBefore,
    /// The process ends when it has been carried out.
    DiesAfter,
    /// It is answered so, and not carried out.
    Answered(u16),
    /// The connection breaks before it is sent.
    LostBefore,
    /// It is carried out, and the answer is lost.
    LostAfter,
    /// It is carried out, and nobody waits for the answer longer than this.
    TimesOut(Duration),
    /// The answer, a watch, ends after a while.
    Ends(Duration),
}

/// Requests of one process of the controller.
pub(crate) struct Process {
    namespace: String,
    dead: AtomicBool,
    died: Notify,
    armed: AtomicBool,
    writes: AtomicUsize,
    reads: AtomicUsize,
    lines: Mutex<Vec<String>>,
    fate: Box<dyn Fn(&Asked) -> Fate + Send + Sync>,
}

/// A request, as far as its fate depends on it.
pub(crate) struct Asked {
    /// Of the writes since [`Process::arm`]; none of a read.
    pub(crate) write: Option<usize>,
    pub(crate) watch: bool,
    /// Method and path.
    pub(crate) line: String,
}

impl Process {
    pub(crate) fn new(
        namespace: &str,
        fate: impl Fn(&Asked) -> Fate + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            namespace: namespace.to_owned(),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            armed: AtomicBool::new(false),
            writes: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            lines: Mutex::default(),
            fate: Box::new(fate),
        })
    }

    /// From now on writes are counted, and have a fate.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// Reads but for watches.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// The writes, each in a line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(crate) async fn death(&self) {
        self.died.notified().await;
    }

    fn fate_of(&self, request: &Request<Body>) -> Fate {
        let watch = request.uri().query().is_some_and(|it| it.contains("watch=true"));
        let reads = request.method() == Method::GET;
        if reads && !watch {
            self.reads.fetch_add(1, Ordering::SeqCst);
        }
        if !self.armed.load(Ordering::SeqCst) {
            return Fate::Passes;
        }
        let line = format!("{} {}", request.method(), request.uri().path());
        let write = (!reads).then(|| {
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
            self.writes.fetch_add(1, Ordering::SeqCst)
        });
        (self.fate)(&Asked { write, watch, line })
    }

    fn die(&self) -> BoxError {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
        "the process has ended".into()
    }
}

/// See [`Process`].
pub(crate) struct Faults(pub(crate) Arc<Process>);

pub(crate) struct Faulty<S> {
    process: Arc<Process>,
    inner: S,
}

type Answer = Response<Box<DynBody>>;

impl<S> Layer<S> for Faults {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { process: Arc::clone(&self.0), inner }
    }
}

impl<S> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Answer, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let process = Arc::clone(&self.process);
        if process.is_dead() {
            return std::future::pending().boxed();
        }
        confine(&mut request, &process.namespace);
        match process.fate_of(&request) {
            Fate::Passes => self.inner.call(request).boxed(),
            Fate::DiesBefore => {
                let error = process.die();
                async { Err(error) }.boxed()
            }
            Fate::LostBefore => async { Err("the connection broke".into()) }.boxed(),
            Fate::Answered(code) => async move { Ok(answer(code)) }.boxed(),
            Fate::DiesAfter => {
                // Nothing that it does by the side counts from here on.
                process.dead.store(true, Ordering::SeqCst);
                let carried_out = self.inner.call(request);
                async move {
                    let _ = carried_out.await;
                    Err(process.die())
                }
                .boxed()
            }
            Fate::LostAfter => lost_after(self.inner.call(request), Duration::ZERO).boxed(),
            Fate::TimesOut(late) => lost_after(self.inner.call(request), late).boxed(),
            Fate::Ends(after) => {
                let begun = self.inner.call(request);
                async move { begun.await.map(|answer| ending(answer, after)) }.boxed()
            }
        }
    }
}

async fn lost_after(
    carried_out: impl Future<Output = Result<Answer, BoxError>>,
    late: Duration,
) -> Result<Answer, BoxError> {
    let _ = carried_out.await;
    tokio::time::sleep(late).await;
    Err("the answer was lost".into())
}

/// What is asked of the whole cluster is asked of the namespace.
fn confine(request: &mut Request<Body>, namespace: &str) {
    let uri = request.uri();
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let (root, plural) = match *parts.as_slice() {
        ["api", version, plural] => (format!("/api/{version}"), plural),
        ["apis", group, version, plural] => (format!("/apis/{group}/{version}"), plural),
        _ => return,
    };
    let query = uri.query().map(|it| format!("?{it}")).unwrap_or_default();
    let within = format!("{root}/namespaces/{namespace}/{plural}{query}");
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = within.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

fn answer(code: u16) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": "Injected", "message": "injected",
    });
    let body =
        Full::new(Bytes::from(status.to_string())).map_err(|never| -> BoxError { match never {} });
    let mut answer = Response::new(Box::new(body) as Box<DynBody>);
    *answer.status_mut() = code.try_into().expect("a status code");
    answer
}

fn ending(answer: Answer, after: Duration) -> Answer {
    let over = Box::pin(tokio::time::sleep(after));
    answer.map(|body| {
        Box::new(StreamBody::new(BodyStream::new(body).take_until(over))) as Box<DynBody>
    })
}
