//! Requests to the API server, counted where the client sends them.

use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt as _};
use hyper::{Method, Request, Response, Uri};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tower::{Layer, Service};

/// Counts requests, by what they ask of what, and by what came of it.
#[derive(Clone, Debug, Default)]
pub struct Calls(Family<Labels, Counter>);

/// As [`Calls`], around a client.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    calls: Calls,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Labels {
    verb: &'static str,
    resource: String,
    code: u16,
}

impl Calls {
    pub(super) fn counts(&self) -> Family<Labels, Counter> {
        self.0.clone()
    }
}

impl<S> Layer<S> for Calls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, calls: self.clone() }
    }
}

impl<S, B, A> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (verb, resource) = asked(request.method(), request.uri());
        let calls = self.calls.clone();
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            // 0: there was none.
            let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
            calls.0.get_or_create(&Labels { verb, resource, code }).inc();
            answer
        }
        .boxed()
    }
}

/// The verb and the resource, as Kubernetes' rights have them: `get`, `deployments` or `canaries/status`.
fn asked(method: &Method, uri: &Uri) -> (&'static str, String) {
    let mut path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let root = match path.first() {
        Some(&"api") => 2,
        Some(&"apis") => 3,
        _ => path.len(),
    };
    path.drain(..root.min(path.len()));
    if path.len() > 2 && path[0] == "namespaces" {
        path.drain(..2);
    }
    let watched = uri.query().is_some_and(|query| query.contains("watch=true"));
    let verb = match (method.as_str(), path.get(1)) {
        ("GET", _) if watched => "watch",
        ("GET", None) if !path.is_empty() => "list",
        ("GET", _) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", _) => "delete",
        _ => "other",
    };
    let resource = match path[..] {
        [resource, _, sub] => format!("{resource}/{sub}"),
        [resource, ..] => resource.to_owned(),
        [] => String::new(),
    };
    (verb, resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_as_rights_name_them() {
        for (method, uri, verb, resource) in [
            (Method::GET, "/version", "get", ""),
            (Method::GET, "/api/v1/namespaces", "list", "namespaces"),
            (Method::GET, "/api/v1/namespaces/prod", "get", "namespaces"),
            (Method::GET, "/api/v1/namespaces/prod/services/shop", "get", "services"),
            (Method::GET, "/apis/apps/v1/deployments?&watch=true&a=b", "watch", "deployments"),
            (
                Method::GET,
                "/apis/apps/v1/namespaces/prod/replicasets?limit=5",
                "list",
                "replicasets",
            ),
            (
                Method::PATCH,
                "/apis/apps/v1/namespaces/prod/deployments/shop",
                "patch",
                "deployments",
            ),
            (
                Method::PUT,
                "/apis/serin.dev/v1beta1/namespaces/prod/canaries/shop/status",
                "update",
                "canaries/status",
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/prod/events", "create", "events"),
            (Method::DELETE, "/api/v1/namespaces/prod/secrets/a", "delete", "secrets"),
        ] {
            let uri: Uri = uri.parse().expect("a URI");
            assert_eq!(asked(&method, &uri), (verb, resource.to_owned()), "{method} {uri}");
        }
    }
}
