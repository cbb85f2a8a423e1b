//! Who accepts connections, asked again and again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Weight 0 is to be written within a second of the last address going.
const EVERY: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(1);

/// How many of how many addresses accept connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepting {
    pub(super) accepting: usize,
    pub(super) addresses: usize,
}

/// Watches primary's and the canary's addresses.
#[derive(Debug)]
pub(super) struct Watch {
    primary: watch::Receiver<Accepting>,
    canary: watch::Receiver<Accepting>,
    _tasks: JoinSet<()>,
}

impl Accepting {
    /// All do, and there are some.
    pub(super) fn all(self) -> bool {
        self.accepting > 0 && self.accepting == self.addresses
    }
}

impl Watch {
    pub(super) async fn start(primary: &[SocketAddr], canary: &[SocketAddr]) -> Self {
        let (primary_now, canary_now) = tokio::join!(accepting(primary), accepting(canary));
        let mut tasks = JoinSet::new();
        let mut spawn = |addresses: &[SocketAddr], first| {
            let (sender, receiver) = watch::channel(first);
            tasks.spawn(watch(addresses.to_vec(), sender));
            receiver
        };
        let primary = spawn(primary, primary_now);
        let canary = spawn(canary, canary_now);
        Self { primary, canary, _tasks: tasks }
    }

    /// Primary's and the canary's, as they were last seen.
    pub(super) fn now(&self) -> (Accepting, Accepting) {
        (*self.primary.borrow(), *self.canary.borrow())
    }

    /// Resolves when either changes. May be dropped and called again.
    pub(super) async fn changed(&mut self) {
        // The senders live as long as this does.
        let _ = tokio::select! {
            changed = self.primary.changed() => changed,
            changed = self.canary.changed() => changed,
        };
    }
}

async fn watch(addresses: Vec<SocketAddr>, sender: watch::Sender<Accepting>) {
    loop {
        sleep(EVERY).await;
        let now = accepting(&addresses).await;
        sender.send_if_modified(|last| std::mem::replace(last, now) != now);
    }
}

async fn accepting(addresses: &[SocketAddr]) -> Accepting {
    let mut attempts: JoinSet<bool> = addresses.iter().copied().map(accepts).collect();
    let mut accepting = 0;
    while let Some(accepts) = attempts.join_next().await {
        accepting += usize::from(accepts.unwrap_or(false));
    }
    Accepting { accepting, addresses: addresses.len() }
}

async fn accepts(address: SocketAddr) -> bool {
    matches!(timeout(TIMEOUT, TcpStream::connect(address)).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_that_goes_is_noticed() {
        let [here, gone] = [(), ()].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let canary = [here.local_addr().unwrap(), gone.local_addr().unwrap()];
        let mut watch = Watch::start(&[], &canary).await;
        assert_eq!(watch.now(), (Accepting::default(), Accepting { accepting: 2, addresses: 2 }));
        assert!(watch.now().1.all() && !watch.now().0.all());
        drop(gone);
        watch.changed().await;
        assert_eq!(watch.now().1, Accepting { accepting: 1, addresses: 2 });
        drop(here);
        let _ = TcpListener::bind(canary[1]).await;
    }
}
