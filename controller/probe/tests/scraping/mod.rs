//! A Prometheus that scrapes one address; dropped, it is killed.

use std::fs;
use std::net::TcpListener as Port;
use std::process::{Child, Command, Stdio};

pub(crate) struct Prometheus {
    process: Child,
    /// With its scheme.
    pub(crate) address: String,
    _data: tempfile::TempDir,
}

impl Prometheus {
    pub(crate) fn scraping(target: &str, program: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let port = Port::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        let address = format!("127.0.0.1:{port}");
        let config = format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs:\n- {{job_name: it, static_configs: [{{targets: ['{target}']}}]}}\n"
        );
        let file = data.path().join("prometheus.yml");
        fs::write(&file, config).expect("written");
        let process = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::null())
            .spawn()
            .expect("Prometheus starts");
        Self { process, address: format!("http://{address}"), _data: data }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = (self.process.kill(), self.process.wait());
    }
}
