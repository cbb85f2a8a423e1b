//! Canaries are woken not only by what is watched, but also by answers, and by whatever else comes in on its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::Stream;
use futures_util::stream::poll_fn;
use serin_api::Group;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::interests::Key;

/// Wakes Canaries. Woken twice before it is looked at, one is looked at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake(Arc<Mutex<BTreeMap<Group, UnboundedSender<Key>>>>);

impl Wake {
    /// The Canaries of a group to look at, from now on; a stream that was given out before ends.
    pub(crate) fn stream(&self, group: Group) -> impl Stream<Item = Key> + use<> {
        let (sender, mut woken) = unbounded_channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(group, sender);
        poll_fn(move |context| woken.poll_recv(context))
    }

    /// Looks at a Canary soon.
    pub(crate) fn up(&self, canary: &Key) {
        let senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = senders.get(&canary.group) {
            // Nobody looks any more: the controller ends.
            let _ = sender.send(canary.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    #[test]
    fn a_canary_is_woken_in_the_stream_of_its_group() {
        let key = |group| Key { group, namespace: "prod".into(), name: "shop".into() };
        let wake = Wake::default();
        wake.up(&key(Group::Serin));
        let mut before = Box::pin(wake.stream(Group::Serin));
        let mut ours = Box::pin(wake.stream(Group::Serin));
        let mut flaggers = Box::pin(wake.stream(Group::Flagger));
        wake.up(&key(Group::Serin));
        assert_eq!(ours.next().now_or_never(), Some(Some(key(Group::Serin))));
        assert_eq!(before.next().now_or_never(), Some(None));
        assert!(flaggers.next().now_or_never().is_none());
    }
}
