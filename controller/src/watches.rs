//! The watches that wake Canaries: all objects of each kind that any Canary may depend on, their metadata only where
//! that is enough. Nothing is kept of them.
//!
//! No change is missed. A Canary's interest precedes its reading, and every change after the reading is an event: from
//! the watch, or, if the watch had not begun yet or has broken off, from the list with which it begins (anew). What was
//! deleted before that list is not in it; therefore its end concerns everyone who depends on the kind.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client, Resource};
use serin_api::Group;

use crate::guarded::Guarded;
use crate::interests::{Delegates, Interests, Subject};
use crate::kind::Kind;
use crate::resources;
use crate::scope::delegates;

/// The Canaries of a group that something has happened to.
pub(crate) fn woken(
    client: &Client,
    group: Group,
    interests: &Arc<Interests>,
) -> impl Stream<Item = ObjectRef<Guarded>> + Send + use<> {
    let metadata = |resource: &ApiResource, kind| {
        let all: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client.clone(), resource);
        let source = Source { group, kind, interests: Arc::clone(interests) };
        source.woken(watcher(all, Config::default()), |_| Delegates::new())
    };
    let with_content = [Kind::VirtualService, Kind::WasmPlugin];
    let kinds = Kind::ALL.into_iter().filter(|kind| !with_content.contains(kind));
    let mut all: Vec<_> = kinds.map(|kind| metadata(&kind.resource(), kind.name())).collect();
    all.push(metadata(&resources::GATEWAY.resource(), resources::GATEWAY.kind));
    // Whom it delegates to stands in its content.
    let kind = Kind::VirtualService;
    let routes: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource());
    let source = Source { group, kind: kind.name(), interests: Arc::clone(interests) };
    all.push(source.woken(watcher(routes, Config::default()), delegates));
    stream::select_all(all)
}

/// One watch.
struct Source {
    group: Group,
    kind: &'static str,
    interests: Arc<Interests>,
}

impl Source {
    fn woken<K: Resource + Send + 'static>(
        self,
        events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
        delegates: fn(&K) -> Delegates,
    ) -> BoxStream<'static, ObjectRef<Guarded>> {
        let of = move |event: watcher::Result<Event<K>>| match event {
            Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                let subject = Subject::of(self.kind, object.meta());
                let delegates = delegates(&object);
                subject.map_or_else(Vec::new, |it| {
                    self.interests.concerned(self.group, &it, &delegates)
                })
            }
            Ok(Event::InitDone) => self.interests.concerned_by_kind(self.group, self.kind),
            Ok(Event::Init) => Vec::new(),
            Err(error) => {
                tracing::warn!(kind = self.kind, %error, "a watch broke off; it is taken up again");
                Vec::new()
            }
        };
        events.default_backoff().flat_map(move |event| stream::iter(of(event))).boxed()
    }
}
