//! The gates of Flagger's load tester, opened by its own API.

use anyhow::{Result, ensure};
use serde_json::json;
use serin_e2e::client::{Ask, Client};
use serin_e2e_mesh::{forward::Forward, space::Space};

use super::service::Service;

const PORT: u16 = 8080;
const ACCEPTED: u16 = 202;

/// The load tester of a space.
pub(super) struct Gates {
    client: Client,
    _forward: Forward,
}

impl Gates {
    pub(super) async fn of(space: &Space) -> Result<Self> {
        let pod = space.mesh.pod(&space.name, "app=flagger-loadtester").await?;
        let forward = Forward::start(&space.mesh.client, &space.name, &pod, PORT).await?;
        Ok(Self { client: Client::new(forward.address()), _forward: forward })
    }

    /// Lets a service through. Until then the gate is closed.
    pub(super) async fn open(&self, service: &Service<'_>) -> Result<()> {
        let canary = json!({"name": service.name, "namespace": service.namespace});
        let ask = Ask::get("loadtester", "/gate/open").method("POST");
        let answer = self.client.send(&ask.body(canary.to_string())).await?;
        ensure!(answer.status == ACCEPTED, "{answer:?}");
        Ok(())
    }
}
