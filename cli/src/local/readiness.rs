//! Who accepts connections, asked again and again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Weight 0 is to be written within a second of the last address going.
const EVERY: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(1);

/// Which addresses accept connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepting {
    pub(super) accepting: usize,
    pub(super) refusing: Vec<SocketAddr>,
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
    pub(super) fn all(&self) -> bool {
        self.accepting > 0 && self.refusing.is_empty()
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
        (self.primary.borrow().clone(), self.canary.borrow().clone())
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
        sender.send_if_modified(|last| {
            let differs = *last != now;
            *last = now;
            differs
        });
    }
}

async fn accepting(addresses: &[SocketAddr]) -> Accepting {
    let attempts = addresses.iter().map(|address| tokio::spawn(accepts(*address)));
    let attempts: Vec<JoinHandle<bool>> = attempts.collect();
    let mut seen = Accepting::default();
    for (address, attempt) in addresses.iter().zip(attempts) {
        match attempt.await {
            Ok(true) => seen.accepting += 1,
            Ok(false) | Err(_) => seen.refusing.push(*address),
        }
    }
    seen
}

/// Somebody listens there.
pub(super) async fn accepts(address: SocketAddr) -> bool {
    matches!(timeout(TIMEOUT, TcpStream::connect(address)).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_goes_is_noticed() {
        let [here, gone] = [(), ()].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let canary = [here.local_addr().unwrap(), gone.local_addr().unwrap()];
        let mut watch = Watch::start(&[], &canary).await;
        let both = Accepting { accepting: 2, refusing: Vec::new() };
        assert_eq!(watch.now(), (Accepting::default(), both));
        assert!(watch.now().1.all() && !watch.now().0.all());
        drop(gone);
        watch.changed().await;
        assert_eq!(watch.now().1, Accepting { accepting: 1, refusing: vec![canary[1]] });
        drop(here);
    }
}
