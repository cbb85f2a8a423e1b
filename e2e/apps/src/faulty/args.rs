//! The command line of `faulty`.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use super::faults::Faults;
use crate::quantity::Time;

const MORE: &str = "\
What a single request may order, by header or in its query; such a request meets no other fault:
  x-fault-status: 503     /path?status=503     answer with this status
  x-fault-delay: 200ms    /path?delay=200ms    answer after this time
  x-fault-reset: true     /path?reset=true     close the connection (HTTP/2: reset the stream)

Paths of its own; every other path is the app:
  GET    /healthz   200 while it runs
  GET    /readyz    200 while it is ready, else 503 and why
  GET    /faults    the faults in force, as JSON
  POST   /faults    change some of them: {\"fail\": \"10%\", \"codes\": [500, 503], \"delay\": \"200ms\"}
  DELETE /faults    back to those it was started with
  GET    /counts    what it has answered so far
  POST   /crash     cuts everything off and exits with 1

Every answer names its maker (x-app-version, x-app-pod, and in its JSON body); one that failed on purpose is
marked: x-app-fault: ordered | drawn.

Examples:
  faulty --version-name v2 --fail 5% --codes 500,503
  faulty --delay 300ms --delay-share 10% --slow-start 20s
  curl -d '{\"reset\": \"2%\"}' localhost:8080/faults";

/// An app for tests that fails as ordered, and stays ready while it does. HTTP/1.1 and HTTP/2 in the clear.
#[derive(Clone, Debug, Parser)]
#[command(name = "faulty", after_help = MORE, max_term_width = 100)]
pub struct Args {
    /// Where it listens.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080", env = "FAULTY_LISTEN")]
    pub listen: String,
    /// The version that it says it is.
    #[arg(long, value_name = "NAME", default_value = "v1", env = "FAULTY_VERSION_NAME")]
    pub version_name: String,
    /// The pod that it says it is.
    #[arg(long, value_name = "NAME", default_value = "unknown", env = "POD_NAME")]
    pub pod_name: String,
    /// For so long after its start it is not ready, and requests that come nevertheless wait.
    #[arg(long, value_name = "TIME", default_value = "0", env = "FAULTY_SLOW_START")]
    pub slow_start: Time,
    /// What all requests meet.
    #[command(flatten)]
    pub faults: Faults,
    /// What SIGTERM does.
    #[arg(long, value_enum, default_value_t, env = "FAULTY_ON_TERM")]
    pub on_term: OnTerm,
    /// For so long after SIGTERM it is not ready but goes on as before, until its callers have heard.
    #[arg(long, value_name = "TIME", default_value = "0", env = "FAULTY_LINGER")]
    pub linger: Time,
    /// Requests that are under way when it ends have at most this time.
    #[arg(long, value_name = "TIME", default_value = "25s", env = "FAULTY_DRAIN_MAX")]
    pub drain_max: Time,
}

/// What SIGTERM does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnTerm {
    /// Takes no more connections, ends what is under way, and exits with 0.
    #[default]
    Drain,
    /// Cuts everything off and exits with 143.
    Exit,
}

/// Longer than any test waits.
pub(super) const TIME_MAX: Duration = Duration::from_mins(10);

impl Args {
    /// Whether they fit together; the error says what does not.
    pub fn check(&self) -> Result<(), String> {
        let times = [
            ("--slow-start", self.slow_start),
            ("--linger", self.linger),
            ("--drain-max", self.drain_max),
        ];
        for (name, time) in times {
            if time.0 > TIME_MAX {
                return Err(format!("{name}: must be at most {}, not {time}", Time(TIME_MAX)));
            }
        }
        for (name, value) in
            [("--version-name", &self.version_name), ("--pod-name", &self.pod_name)]
        {
            let is_fit = value.len() <= 253 && value.bytes().all(|byte| byte.is_ascii_graphic());
            if value.is_empty() || !is_fit {
                return Err(format!(
                    "{name}: must be 1 to 253 visible ASCII characters, not {value:?}"
                ));
            }
        }
        self.faults.check()
    }
}
