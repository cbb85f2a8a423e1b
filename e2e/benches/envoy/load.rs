//! The load: a bounded number of requests on kept connections, from one thread of its own that does nothing else, so
//! that Envoy always has the next request waiting.

use std::{net::SocketAddr, rc::Rc, sync::mpsc, thread, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

use crate::{case::Case, config};

/// Connections, all busy.
const CONNECTIONS: u64 = 32;

/// Connections to one Envoy.
pub(crate) struct Load {
    orders: mpsc::Sender<Order>,
}

struct Order {
    request: Vec<u8>,
    n: u64,
    done: oneshot::Sender<Result<()>>,
}

impl Load {
    /// Connects from a new thread.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let (orders, incoming) = mpsc::channel::<Order>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("load".to_owned()).spawn(move || {
            let mut streams = Vec::new();
            for order in incoming {
                let sent = runtime.block_on(tokio::task::LocalSet::new().run_until(run(
                    address,
                    &mut streams,
                    order.request,
                    order.n,
                )));
                let _ = order.done.send(sent);
            }
        })?;
        Ok(Self { orders })
    }

    /// Sends that many requests of a case.
    pub(crate) async fn send(&self, case: Case, n: u64) -> Result<()> {
        let (done, answer) = oneshot::channel();
        let request = config::request(case).into_bytes();
        self.orders.send(Order { request, n, done }).ok().context("the load's thread ended")?;
        tokio::time::timeout(Duration::from_mins(1), answer).await.context("Envoy is stuck")??
    }
}

async fn run(
    address: SocketAddr,
    streams: &mut Vec<TcpStream>,
    request: Vec<u8>,
    n: u64,
) -> Result<()> {
    while (streams.len() as u64) < CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let request = Rc::new(request);
    let each = n / CONNECTIONS;
    ensure!(each * CONNECTIONS == n, "{n} requests are not divided by {CONNECTIONS} connections");
    let exchanges = streams
        .drain(..)
        .map(|stream| tokio::task::spawn_local(exchange(stream, Rc::clone(&request), each)));
    let exchanges: Vec<_> = exchanges.collect();
    for exchange in exchanges {
        streams.push(exchange.await??);
    }
    Ok(())
}

async fn exchange(mut stream: TcpStream, request: Rc<Vec<u8>>, n: u64) -> Result<TcpStream> {
    let mut buffer = [0; 4096];
    for _ in 0..n {
        stream.write_all(&request).await?;
        let mut filled = 0;
        // Envoy's own answers end with the same body, in one piece or two.
        while !buffer[..filled].ends_with(config::BODY.as_bytes()) {
            let read = stream.read(&mut buffer[filled..]).await?;
            ensure!(read > 0, "Envoy closed a connection");
            filled += read;
        }
        if !buffer.starts_with(b"HTTP/1.1 200") {
            bail!("Envoy answered {}", String::from_utf8_lossy(&buffer[..filled]));
        }
    }
    Ok(stream)
}
