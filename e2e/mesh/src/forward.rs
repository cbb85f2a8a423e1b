//! A port of a pod on this machine's loopback interface, by way of the API server: as `kubectl port-forward` does it,
//! so it works wherever kubectl does, and reaches what a pod serves to itself alone.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::say;

/// A forwarded port. Dropping it closes it with all its connections.
pub struct Forward {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Forward {
    /// Listens on a free port.
    pub async fn start(client: &Client, namespace: &str, pod: &str, port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port")?;
        let address = listener.local_addr()?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let task = tokio::spawn(serve(listener, pods, pod.to_owned(), port));
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, pods: Api<Pod>, pod: String, port: u16) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (pods, pod) = (pods.clone(), pod.clone());
        connections.spawn(async move {
            if let Err(error) = carry(stream, &pods, &pod, port).await {
                say(&format!("port {port} of {pod}: {error:#}"));
            }
        });
    }
}

/// Carries one connection to its end.
async fn carry(mut near: TcpStream, pods: &Api<Pod>, pod: &str, port: u16) -> Result<()> {
    let mut forwarder = pods.portforward(pod, &[port]).await?;
    let mut far = forwarder.take_stream(port).context("the API server forwards no such port")?;
    // Either side may hang up at any time: whoever uses the connection notices.
    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    Ok(())
}
