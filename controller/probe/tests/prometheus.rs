//! The recipe's two queries, asked of a real Prometheus that has scraped as many requests as the numbers say.

use std::time::{Duration, Instant};

use serin_probe::{Access, Network, Question};
use serin_rollout::{Plan, Probe, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

mod scraping;

use scraping::Prometheus;

const RECIPE: &str = include_str!("../../../api/golden/recipe-backend.yaml");
const ITS_ADDRESS: &str = "http://flagger-prometheus.istio-system:9090";
const PATIENCE: Duration = Duration::from_mins(1);

/// Per second: a hundred requests, five of which fail; half take up to 100 ms, two more than 250 ms.
const RATES: [(&str, &str, f64); 7] = [
    ("istio_requests_total", "response_code=\"200\"", 95.0),
    ("istio_requests_total", "response_code=\"503\"", 5.0),
    ("istio_request_duration_milliseconds_bucket", "le=\"100\"", 50.0),
    ("istio_request_duration_milliseconds_bucket", "le=\"250\"", 98.0),
    ("istio_request_duration_milliseconds_bucket", "le=\"500\"", 100.0),
    ("istio_request_duration_milliseconds_bucket", "le=\"+Inf\"", 100.0),
    ("istio_request_duration_milliseconds_count", "", 100.0),
];

fn scrape(seconds: f64) -> String {
    let of = "reporter=\"destination\",destination_workload_namespace=\"prod\",\
              destination_workload=\"backend\"";
    let series =
        RATES.map(|(name, more, rate)| format!("{name}{{{of},{more}}} {}", rate * seconds));
    series.join("\n") + "\n"
}

async fn serve(listener: TcpListener) {
    let begun = Instant::now();
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = stream.read(&mut [0; 4096]).await;
        let text = scrape(begun.elapsed().as_secs_f64());
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close";
        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

async fn ask(network: &Network, plan: &Plan, index: usize) -> Result<Value, String> {
    let probe = Probe::Check { index, round: 1 };
    Question::of(plan, "v2", &probe).expect("a query").ask(network, &Access::default()).await
}

#[tokio::test]
#[ignore = "needs a Prometheus: SERIN_PROMETHEUS=PROGRAM"]
async fn the_recipes_queries_give_the_numbers_that_were_scraped() {
    let program = std::env::var("SERIN_PROMETHEUS").expect("SERIN_PROMETHEUS names a program");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = listener.local_addr().expect("an address").to_string();
    let prometheus = Prometheus::scraping(&target, &program);
    let plan = |text: &str| {
        serin_api::read(&text.replace(ITS_ADDRESS, &prometheus.address))
            .and_then(|it| it.plan())
            .unwrap_or_else(|problems| panic!("{problems}"))
    };
    let (network, recipe) = (Network::new().expect("a client"), plan(RECIPE));
    let begun = Instant::now();
    while ask(&network, &recipe, 0).await != Ok(Value::NoData) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", ask(&network, &recipe, 0).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::spawn(serve(listener));
    let numbers = loop {
        let (errors, latency) = (ask(&network, &recipe, 0).await, ask(&network, &recipe, 1).await);
        match (errors, latency) {
            (Ok(Value::Number(errors)), Ok(Value::Number(latency))) => break (errors, latency),
            other => assert!(begun.elapsed() < PATIENCE, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    eprintln!("{:?} after its start: {numbers:?}", begun.elapsed());
    assert!((numbers.0 - 5.0).abs() < 0.01, "error rate {}", numbers.0);
    assert!((numbers.1 - 375.0).abs() < 0.5, "99th percentile {}", numbers.1);
    let wrong = plan(&RECIPE.replace("histogram_quantile", "histogram_quantum"));
    let error = ask(&network, &wrong, 1).await.expect_err("no such function");
    assert!(error.contains("unknown function"), "{error}");
}
