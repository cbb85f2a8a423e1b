//! The stand-in for `istio.stats` on a real Envoy, between our load generator and our faulty app: the series that
//! Istio documents, with its labels, and counts that agree with both.

#[path = "istio_stats/certificates.rs"]
mod certificates;
#[path = "istio_stats/series.rs"]
mod series;
#[path = "istio_stats/sidecars.rs"]
mod sidecars;

use std::{collections::BTreeMap, net::SocketAddr, process::Stdio};

use anyhow::{Context, Result};
use serde_json::Value;
use series::sum;
use serin_e2e::{
    client::{Ask, Client},
    eventually, given,
};
use sidecars::{CALLED, CALLER, Sidecars};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

const REQUESTS: &str = "istio_requests_total";

/// The app, gone when dropped.
struct Faulty {
    _child: Child,
    address: SocketAddr,
}

impl Faulty {
    async fn start(words: &[&str]) -> Result<Self> {
        let mut child = Command::new(given("SERIN_FAULTY")?)
            .args(["--listen", "127.0.0.1:0"])
            .args(words)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let line = lines.next_line().await?.unwrap_or_default();
        let address = line.rsplit(' ').next().unwrap_or_default().parse();
        Ok(Self { _child: child, address: address.with_context(|| line)? })
    }
}

/// Sends a load and gives its result.
async fn load(words: &[&str]) -> Result<Value> {
    let output = Command::new(given("SERIN_LOAD")?).args(words).output().await?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).with_context(|| complaints.into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_agree_with_the_load_generators() -> Result<()> {
    let faults = ["--fail", "10%", "--codes", "500,504", "--reset", "5%"];
    let app = Faulty::start(&faults).await?;
    let sidecars = Sidecars::before(app.address).await?;
    let url = format!("http://{}/", sidecars.outbound);
    let words = ["--rps", "400", "--for", "2s", "--concurrency", "800", "--output", "json"];
    let outcome = load(&[&[url.as_str()][..], &words].concat()).await?;
    assert_eq!(outcome["answered"], 800, "{outcome}");
    let status: BTreeMap<String, u64> = serde_json::from_value(outcome["status"].clone())?;
    let (app_made, envoy_made) = (
        outcome["failures"]["app"].as_u64().context("failures")?,
        outcome["failures"]["envoy"].as_u64().context("failures")?,
    );
    assert!(app_made > 0 && envoy_made > 0, "{outcome}");
    for reporter in ["source", "destination"] {
        let agree = eventually("all to be counted", async || {
            let series = sidecars.series(REQUESTS).await.expect("series are read");
            (sum(&series, &[("reporter", reporter)]) == 800).then_some(series)
        });
        let series = agree.await.with_context(|| sidecars.caller.log())?;
        for (code, count) in &status {
            let counted = sum(&series, &[("reporter", reporter), ("response_code", code)]);
            assert_eq!(counted, *count, "{reporter}, {code}: {series:#?}");
        }
    }
    let series = sidecars.series(REQUESTS).await?;
    // The app closed the connection: the called sidecar knows why, the caller's was only answered.
    let of = |reporter, flags| {
        sum(&series, &[("reporter", reporter), ("response_code", "503"), ("response_flags", flags)])
    };
    assert_eq!((of("destination", "UC"), of("source", "-")), (envoy_made, envoy_made));
    let own = sum(&series, &[("reporter", "destination"), ("response_flags", "-")]);
    assert_eq!(own, 800 - envoy_made, "an app's own failure is no flag of Envoy's");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_those_that_istio_documents() -> Result<()> {
    let app = Faulty::start(&[]).await?;
    let sidecars = Sidecars::before(app.address).await?;
    let client = Client::new(sidecars.outbound);
    assert_eq!(client.send(&Ask::get("podinfo:8080", "/?delay=30ms")).await?.status, 200);
    let series = eventually("both reporters' series", async || {
        let series = sidecars.series(REQUESTS).await.expect("series are read");
        (series.len() == 2).then_some(series)
    })
    .await?;
    let common = [
        ("request_protocol", "http"),
        ("response_code", "200"),
        ("response_flags", "-"),
        ("grpc_response_status", ""),
        ("source_principal", CALLER),
        ("destination_principal", CALLED),
        ("destination_service", "podinfo.test.svc.cluster.local"),
        ("destination_service_name", "podinfo"),
        ("destination_service_namespace", "test"),
        ("destination_workload", "podinfo-v2"),
        ("destination_workload_namespace", "test"),
        ("destination_canonical_service", "podinfo"),
        ("destination_canonical_revision", "v2"),
        ("destination_cluster", "Kubernetes"),
    ];
    let source = [
        ("reporter", "source"),
        ("source_workload", "tester"),
        ("source_workload_namespace", "load"),
        ("source_app", "load"),
        ("source_version", "unknown"),
        ("source_canonical_service", "load"),
        ("source_canonical_revision", "latest"),
        ("source_cluster", "Kubernetes"),
        ("destination_app", "unknown"),
        ("destination_version", "unknown"),
        ("connection_security_policy", "unknown"),
    ];
    let destination = [
        ("reporter", "destination"),
        ("source_workload", "unknown"),
        ("source_workload_namespace", "load"),
        ("source_app", "unknown"),
        ("source_version", "unknown"),
        ("source_canonical_service", "unknown"),
        ("source_canonical_revision", "latest"),
        ("source_cluster", "unknown"),
        ("destination_app", "podinfo"),
        ("destination_version", "v2"),
        ("connection_security_policy", "mutual_tls"),
    ];
    for own in [source, destination] {
        let expected: BTreeMap<_, _> = common.into_iter().chain(own).collect();
        let found =
            series.iter().find(|it| it.labels.get("reporter").is_some_and(|it| it == own[0].1));
        let found = found.with_context(|| format!("{own:?}"))?;
        let labels = found.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
        assert_eq!(labels.collect::<BTreeMap<_, _>>(), expected);
        assert_eq!(found.value, 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn durations_are_milliseconds_and_no_endpoint_is_no_workload() -> Result<()> {
    let app = Faulty::start(&[]).await?;
    let sidecars = Sidecars::before(app.address).await?;
    let client = Client::new(sidecars.outbound);
    for _ in 0..3 {
        assert_eq!(client.send(&Ask::get("podinfo:8080", "/?delay=120ms")).await?.status, 200);
    }
    assert_eq!(client.send(&Ask::get("empty:8080", "/empty")).await?.status, 503);
    // Envoy shows a histogram only once it has been flushed.
    let buckets = "istio_request_duration_milliseconds_bucket";
    let served = [("reporter", "destination"), ("response_code", "200")];
    let series = eventually("the histogram", async || {
        let series = sidecars.series(buckets).await.expect("series are read");
        let of_all = [&served[..], &[("le", "+Inf")]].concat();
        (sum(&series, &of_all) == 3).then_some(series)
    })
    .await?;
    let below = |le| sum(&series, &[&served[..], &[("le", le)]].concat());
    assert_eq!((below("100"), below("5000")), (0, 3), "{series:#?}");
    let requests = sidecars.series(REQUESTS).await?;
    let lost = requests.iter().find(|it| it.labels["response_code"] == "503").context("lost")?;
    for (label, value) in [
        ("reporter", "source"),
        ("response_flags", "UH"),
        ("destination_service_name", "empty"),
        ("destination_workload", "unknown"),
        ("destination_workload_namespace", "unknown"),
    ] {
        assert_eq!(lost.labels[label], value, "{label}");
    }
    Ok(())
}
