//! What the scopes depend on beside the Canaries, as watches hold it: our plugins, Istio's Gateways, and the
//! `VirtualService`s that delegate.

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use futures_util::{FutureExt as _, future};
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use serin_api::keys;

use crate::kind::Kind;
use crate::resources::GATEWAY;
use crate::scope::{Gateway, delegates};

/// What is watched.
pub(super) struct Watched {
    plugins: Store<DynamicObject>,
    gateways: Store<DynamicObject>,
    routes: Store<DynamicObject>,
}

/// Begins to watch; what is watched is kept up to date by whoever drains the stream of changes.
pub(super) fn begin(client: &Client) -> (Watched, impl Stream<Item = ()> + Send + use<>) {
    let ours = format!("{}={}", keys::MANAGED_BY, keys::FIELD_MANAGER);
    let [plugin, gateway, route] =
        [Kind::WasmPlugin.resource(), GATEWAY.resource(), Kind::VirtualService.resource()];
    let plugins = watch(client, &plugin, Config::default().labels(&ours), trim);
    let gateways = watch(client, &gateway, Config::default(), trim);
    let routes = watch(client, &route, Config::default(), trim_to_delegation);
    let changes = stream::select_all([plugins.1, gateways.1, routes.1]);
    (Watched { plugins: plugins.0, gateways: gateways.0, routes: routes.0 }, changes)
}

impl Watched {
    /// All of it is known.
    pub(super) fn is_ready(&self) -> bool {
        let all = [&self.plugins, &self.gateways, &self.routes];
        all.into_iter().all(|it| matches!(it.wait_until_ready().now_or_never(), Some(Ok(()))))
    }

    /// Our plugins.
    pub(super) fn plugins(&self) -> Vec<std::sync::Arc<DynamicObject>> {
        self.plugins.state()
    }

    /// The plugin of a name.
    pub(super) fn plugin(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<std::sync::Arc<DynamicObject>> {
        let reference = ObjectRef::new_with(name, Kind::WasmPlugin.resource()).within(namespace);
        self.plugins.get(&reference)
    }

    /// The Gateway `NAMESPACE/NAME`.
    pub(super) fn gateway(&self, name: &str) -> Option<Gateway> {
        let (namespace, name) = name.split_once('/')?;
        let reference = ObjectRef::new_with(name, GATEWAY.resource()).within(namespace);
        Gateway::of(self.gateways.get(&reference)?.as_ref())
    }

    /// The `VirtualService`s that delegate to this one.
    pub(super) fn roots(&self, namespace: &str, name: &str) -> Vec<DynamicObject> {
        let to = (namespace.to_owned(), name.to_owned());
        let all = self.routes.state().into_iter();
        all.filter(|it| delegates(it).contains(&to)).map(|it| it.as_ref().clone()).collect()
    }
}

fn watch(
    client: &Client,
    resource: &ApiResource,
    config: Config,
    trim: fn(&mut DynamicObject),
) -> (Store<DynamicObject>, BoxStream<'static, ()>) {
    let writer = Writer::new(resource.clone());
    let (store, kind) = (writer.as_reader(), resource.kind.clone());
    let all: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    let events = watcher(all, config).default_backoff().modify(trim).reflect(writer);
    let changes = events.filter_map(move |event| {
        let changed = match event {
            Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone) => Some(()),
            Ok(Event::Init | Event::InitApply(_)) => None,
            Err(error) => {
                tracing::warn!(kind, %error, "a watch of the scopes broke off; it is taken up again");
                None
            }
        };
        future::ready(changed)
    });
    (store, changes.boxed())
}

/// Who has written what is of no interest.
fn trim(object: &mut DynamicObject) {
    object.metadata.managed_fields = None;
}

/// Of the others nothing is kept but that they are there.
fn trim_to_delegation(object: &mut DynamicObject) {
    trim(object);
    object.metadata.annotations = None;
    let spec = object.data["spec"].take();
    let routes = spec["http"].as_array().into_iter().flatten();
    let delegates: Vec<Value> = routes
        .filter(|route| !route["delegate"].is_null())
        .map(|route| json!({ "delegate": route["delegate"] }))
        .collect();
    object.data = if delegates.is_empty() {
        Value::Null
    } else {
        json!({ "spec": { "gateways": spec["gateways"], "http": delegates } })
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn of_a_route_only_whom_it_delegates_to_is_kept() {
        let to = json!({ "name": "store", "namespace": "prod" });
        let http = json!([{ "delegate": to, "match": [{}] }, { "route": [{}] }]);
        let spec = json!({ "spec": { "gateways": ["a"], "hosts": ["b"], "http": http } });
        let mut object = fixture::object(Kind::VirtualService, "root", spec);
        let before = delegates(&object);
        trim_to_delegation(&mut object);
        assert_eq!(delegates(&object), before);
        assert_eq!(
            object.data,
            json!({ "spec": { "gateways": ["a"], "http": [{ "delegate": to }] } })
        );
        trim_to_delegation(&mut fixture::object(Kind::VirtualService, "odd", Value::Null));
    }
}
