//! Connections: a bounded number at once, each served by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// After a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves whoever connects, at most so many at once; the rest wait. It never ends; dropped, it ends all of them.
pub async fn accept<F>(listener: TcpListener, connections: usize, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(connections));
    let mut served = JoinSet::new();
    // The places are never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while served.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = serve(stream);
                served.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            // Out of file descriptors, most likely: they come back.
            Err(_) => sleep(PAUSE).await,
        }
    }
}
