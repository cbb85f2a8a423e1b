//! The program's arguments, each also from the environment.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use clap::{ArgAction, Parser, ValueEnum};
use serin_api::Group;
use serin_receiver::Peers;
use serin_route::Reports;

use crate::lead::Election;
use crate::lease::Terms;
use crate::logs::Format;
use crate::run::Options;
use crate::scope::{Installation, Module, Reach, Receiver};

/// Releases on Kubernetes and Istio: serves Canaries.
///
/// It reads KUBECONFIG, or in a pod its service account. Of several, one acts: the holder of Lease `serin` in their
/// namespace. The others stand by, and take over at once when it stops, or 15 s after it has died.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Args {
    /// API groups whose Canaries are served; those of flagger.app only while no Flagger runs
    #[arg(
        long,
        env = "SERIN_GROUPS",
        value_enum,
        value_delimiter = ',',
        default_value = "serin.dev"
    )]
    groups: Vec<GroupName>,
    /// Istio's root namespace
    #[arg(
        long,
        env = "SERIN_ISTIO_ROOT_NAMESPACE",
        default_value = "istio-system",
        value_name = "NAMESPACE"
    )]
    root_namespace: String,
    /// Told of the events of every Canary that has no webhook of type `event`
    #[arg(long, env = "SERIN_EVENT_WEBHOOK", value_name = "URL")]
    event_webhook: Option<String>,
    /// What is logged, on stderr: a level, or `target=level` several times, with commas
    #[arg(long, env = "SERIN_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// How it is logged; `json` is one object a line, its text in `msg`
    #[arg(long, env = "SERIN_LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    pub log_format: Format,
    /// Whether to stand for election; `false` where nothing else serves this cluster's Canaries
    #[arg(
        long,
        env = "SERIN_LEADER_ELECT",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_value_t = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    leader_elect: bool,
    /// Where this controller runs, and its Lease is; else the service account's or kubeconfig's namespace
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// This pod, which no other process may be: its name at the election, and labelled while it leads
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod: Option<String>,
    /// Where /livez, /readyz, /metrics and /loglevel are: plain HTTP
    #[arg(
        long,
        env = "SERIN_ADMIN_LISTEN",
        default_value = "0.0.0.0:8081",
        value_name = "ADDRESS"
    )]
    pub admin_listen: SocketAddr,
    /// The filter, which proxies load: an OCI image by digest, `oci://REGISTRY/NAME@sha256:…`
    #[arg(long, env = "SERIN_MODULE", value_name = "URL")]
    module: Module,
    /// Secret with which the filter is pulled; it must be in every namespace with a Canary, and in Istio's
    #[arg(long, env = "SERIN_PULL_SECRET", value_name = "NAME")]
    pull_secret: Option<String>,
    /// How far filters reach: to the callers that Canaries name, or to every proxy, at about 28 MB each
    #[arg(long, env = "SERIN_REACH", value_enum, default_value_t = Reach::Scoped)]
    reach: Reach,
    /// Service of this namespace, port 8080, that filters report to; it must select who leads
    #[arg(
        long,
        env = "SERIN_RECEIVER_SERVICE",
        default_value = "serin-telemetry",
        value_name = "NAME"
    )]
    receiver_service: String,
    /// Domain of the cluster's Services
    #[arg(
        long,
        env = "SERIN_CLUSTER_DOMAIN",
        default_value = "cluster.local",
        value_name = "DOMAIN"
    )]
    cluster_domain: String,
    /// Where reports are received
    #[arg(
        long,
        env = "SERIN_REPORTS_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS"
    )]
    pub reports_listen: SocketAddr,
    /// Who vouches for the senders of reports, beside their tokens: nobody, or a sidecar of Istio before this process
    #[arg(long, env = "SERIN_PEERS", value_enum, default_value_t = Vouched::Nobody)]
    peers: Vouched,
}

/// The port of the Service that filters report to.
const RECEIVER_PORT: u16 = 8080;

const EXAMPLES: &str = "\
Examples:
  serin-controller --module URL --leader-elect=false             on a laptop, by its kubeconfig
  serin-controller --module URL --groups serin.dev,flagger.app   in a cluster that leaves Flagger
  serin-controller --module URL --log serin_controller=debug     why a Canary does not move
  curl -X PUT -d debug localhost:8081/loglevel                   the same while it runs

It ends with 0 when it was asked to stop (SIGTERM, Ctrl-C; twice to stop at once), 1 when it cannot go on, and 2 when an
argument is wrong.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GroupName {
    #[value(name = "serin.dev")]
    Serin,
    #[value(name = "flagger.app")]
    Flagger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Vouched {
    Nobody,
    Sidecar,
}

impl Args {
    /// What the controller is to do. `otherwise` is the namespace where none is given.
    pub fn options(&self, otherwise: &str) -> Options {
        let group = |name: &GroupName| match name {
            GroupName::Serin => Group::Serin,
            GroupName::Flagger => Group::Flagger,
        };
        let groups: BTreeSet<Group> = self.groups.iter().map(group).collect();
        let installation = Installation {
            root_namespace: self.root_namespace.clone(),
            module: self.module.clone(),
            pull_secret: self.pull_secret.clone(),
            receiver: self.receiver(otherwise),
        };
        let event_webhook = self.event_webhook.clone();
        Options { groups, installation, reach: self.reach, event_webhook }
    }

    fn receiver(&self, otherwise: &str) -> Receiver {
        Receiver {
            service: self.receiver_service.clone(),
            namespace: self.namespace.as_deref().unwrap_or(otherwise).to_owned(),
            port: RECEIVER_PORT,
            domain: self.cluster_domain.clone(),
            path: serin_receiver::PATH.to_owned(),
            period_ms: Reports::PERIOD_MS,
        }
    }

    /// Whether the senders of reports are known.
    pub fn peers(&self) -> Peers {
        match self.peers {
            Vouched::Nobody => Peers::Unknown,
            Vouched::Sidecar => Peers::BySidecar,
        }
    }

    /// How to stand for election; none alone. `otherwise` is the namespace where none is given.
    pub fn election(&self, otherwise: &str) -> Result<Option<Election>, getrandom::Error> {
        if !self.leader_elect {
            return Ok(None);
        }
        let me = match &self.pod {
            Some(pod) => pod.clone(),
            None => format!("serin-{:08x}", getrandom::u32()?),
        };
        let namespace = self.namespace.as_deref().unwrap_or(otherwise).to_owned();
        Ok(Some(Election { namespace, me, terms: Terms::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Args {
        let digest = "0".repeat(64);
        let module = format!("--module=oci://registry.example/serin@sha256:{digest}");
        Args::try_parse_from([&["serin-controller", &module], args].concat()).expect("they read")
    }

    #[test]
    fn without_a_pinned_filter_it_does_not_start() {
        let refused = |args: &[&str]| {
            Args::try_parse_from([&["serin-controller"], args].concat()).unwrap_err().to_string()
        };
        assert!(refused(&[]).contains("--module <URL>"), "{}", refused(&[]));
        let loose = refused(&["--module", "oci://registry.example/serin:1"]);
        assert!(loose.contains("must be an OCI image by digest"), "{loose}");
    }

    #[test]
    fn reports_go_to_where_the_controller_is() {
        let receiver = |args: &[&str]| parsed(args).options("where-it-is").installation.receiver;
        assert_eq!(receiver(&[]).namespace, "where-it-is");
        let named = receiver(&["--namespace", "here", "--receiver-service", "ears"]);
        assert_eq!((named.namespace.as_str(), named.service.as_str()), ("here", "ears"));
        assert_eq!(parsed(&[]).peers(), Peers::Unknown);
        assert_eq!(parsed(&["--peers", "sidecar"]).peers(), Peers::BySidecar);
    }

    #[test]
    fn a_process_stands_for_election_under_its_pods_name_unless_told_not_to() {
        let election =
            |args: &[&str]| parsed(args).election("where-it-is").expect("random numbers");
        let named = election(&["--pod", "serin-1", "--namespace", "here"]).expect("it stands");
        assert_eq!((named.me.as_str(), named.namespace.as_str()), ("serin-1", "here"));
        let nameless = [election(&[]), election(&["--leader-elect"])].map(Option::unwrap);
        assert_ne!(nameless[0].me, nameless[1].me);
        assert_eq!(nameless[0].namespace, "where-it-is");
        assert_eq!(election(&["--leader-elect=false"]), None);
    }

    #[test]
    fn groups_are_named_as_they_are() {
        let groups = parsed(&["--groups", "serin.dev,flagger.app"]).options("").groups;
        assert_eq!(groups, [Group::Serin, Group::Flagger].into());
    }
}
