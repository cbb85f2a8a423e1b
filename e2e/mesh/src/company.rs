//! Who may run beside whom: tests that rely on the mesh run beside each other; one that takes a part of it away waits
//! until none of them runs, and those that begin meanwhile wait for its end.

use std::sync::LazyLock;

use tokio::sync::watch;

/// Everybody in this process.
static EVERYBODY: LazyLock<watch::Sender<Present>> = LazyLock::new(watch::Sender::default);

#[derive(Clone, Copy, Debug, Default)]
struct Present {
    relying: usize,
    alone: bool,
}

/// A place among others, or alone; given up when dropped.
#[derive(Debug)]
pub struct Company(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Relying,
    Alone,
}

impl Company {
    /// As soon as nobody is alone. Who waits to be alone holds up nobody: it is a test's last act.
    pub async fn relying() -> Self {
        enter(Kind::Relying).await
    }

    /// As soon as nobody else is there.
    pub async fn alone() -> Self {
        enter(Kind::Alone).await
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        EVERYBODY.send_modify(|present| match self.0 {
            Kind::Relying => present.relying -= 1,
            Kind::Alone => present.alone = false,
        });
    }
}

async fn enter(kind: Kind) -> Company {
    let mut changes = EVERYBODY.subscribe();
    while !EVERYBODY.send_if_modified(|present| present.admit(kind)) {
        // The sender is never dropped.
        let _ = changes.changed().await;
    }
    Company(kind)
}

impl Present {
    fn admit(&mut self, kind: Kind) -> bool {
        if self.alone || kind == Kind::Alone && self.relying > 0 {
            return false;
        }
        match kind {
            Kind::Relying => self.relying += 1,
            Kind::Alone => self.alone = true,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_is_alone_or_many_are_not() {
        let waits = |kind| enter(kind).now_or_never().is_none();
        let many = (Company::relying().await, Company::relying().await);
        assert!(waits(Kind::Alone));
        drop(many.0);
        assert!(waits(Kind::Alone));
        let soon = tokio::spawn(Company::alone());
        tokio::task::yield_now().await;
        drop(many.1);
        let alone = soon.await.unwrap();
        assert!(waits(Kind::Relying) && waits(Kind::Alone));
        drop(alone);
        assert!(!waits(Kind::Relying) && !waits(Kind::Alone));
    }
}
