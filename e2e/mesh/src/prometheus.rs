//! Questions to the Prometheus of the mesh.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use serin_e2e::client::{Ask, Client};

/// A Prometheus.
pub struct Prometheus {
    client: Client,
}

impl Prometheus {
    /// The one at `host:port`.
    pub async fn at(place: &str) -> Result<Self> {
        let mut found = tokio::net::lookup_host(place).await.context("SERIN_PROMETHEUS")?;
        let address = found.next().with_context(|| format!("{place} has no address"))?;
        Ok(Self { client: Client::new(address) })
    }

    /// The number that a query comes to now; none if nothing is known.
    pub async fn ask(&self, query: &str) -> Result<Option<f64>> {
        let path = format!("/api/v1/query?query={}", escaped(query));
        let answer = self.client.send(&Ask::get("prometheus", &path)).await?;
        let answer: Value = serde_json::from_slice(&answer.body).context("not Prometheus")?;
        if answer["status"] != "success" {
            bail!("{query}: {answer}");
        }
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        match results.as_slice() {
            [] => Ok(None),
            [one] => {
                let value = one["value"][1].as_str().context("a value")?.parse()?;
                Ok(Some(value))
            }
            many => bail!("{query} has {} results", many.len()),
        }
    }
}

/// Percent-encoded, all but letters and digits.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}
