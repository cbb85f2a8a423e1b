//! What the verbs of a cluster say where there is none. Nothing here talks to anybody.

#![cfg(feature = "cluster")]
#![expect(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

const VERBS: [&str; 9] =
    ["get", "describe", "watch", "promote", "abort", "pause", "resume", "retry", "check"];

fn run(program: &Path, words: &[&str], kubeconfig: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(program);
    command.args(words).env("KUBECONFIG", kubeconfig).env_remove("KUBERNETES_SERVICE_HOST");
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn serin(words: &[&str], kubeconfig: &Path) -> (Option<i32>, String, String) {
    run(Path::new(env!("CARGO_BIN_EXE_serin")), words, kubeconfig)
}

#[test]
fn every_verb_teaches_its_codes_and_how_a_cluster_is_chosen() {
    for verb in VERBS {
        let (code, text, _) = serin(&[verb, "--help"], Path::new("/nonexistent"));
        assert_eq!(code, Some(0));
        for part in ["Exit codes:\n", "  3    the cluster does not answer", "--context <NAME>"] {
            assert!(text.contains(part), "{verb}: {part}: {text}");
        }
    }
}

#[test]
fn linked_to_as_kubectls_it_is_kubectls() {
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("kubectl-serin");
    symlink(env!("CARGO_BIN_EXE_serin"), &plugin).unwrap();
    let (_, text, _) = run(&plugin, &["watch", "--help"], Path::new("/nonexistent"));
    assert!(text.contains("Usage: kubectl serin watch"), "{text}");
}

#[test]
fn without_a_kubeconfig_each_verb_is_3_and_says_what_to_give() {
    for verb in VERBS {
        let words: &[&str] = if verb == "check" { &[verb] } else { &[verb, "shop"] };
        let (code, out, error) = serin(words, Path::new("/nonexistent"));
        assert_eq!((code, out.as_str()), (Some(3), ""), "{verb}: {error}");
        assert!(error.starts_with("serin: no cluster is configured: "), "{error}");
        assert!(error.ends_with("name one by --kubeconfig or $KUBECONFIG\n"), "{error}");
    }
}

#[test]
fn a_cluster_that_does_not_answer_is_3() {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("config");
    let text = "
apiVersion: v1
kind: Config
current-context: gone
clusters: [{name: gone, cluster: {server: 'http://127.0.0.1:1'}}]
contexts: [{name: gone, context: {cluster: gone, user: gone}}]
users: [{name: gone, user: {}}]
";
    std::fs::write(&kubeconfig, text).unwrap();
    for words in [&["get"][..], &["check"], &["abort", "shop"], &["watch", "shop"]] {
        let (code, out, error) = serin(words, &kubeconfig);
        assert_eq!((code, out.as_str()), (Some(3), ""), "{error}");
        assert!(error.starts_with("serin: the cluster does not answer: "), "{error}");
    }
    let (code, _, error) = serin(&["get", "--context", "other"], &kubeconfig);
    assert!(code == Some(3) && error.contains("other"), "{error}");
}
