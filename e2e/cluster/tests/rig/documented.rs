//! What docs/cluster.md tells a person to type, typed.

use std::{fs, path::Path, process::Command};

use crate::rig::Rig;

const HEADING: &str = "## A release to try\n";
/// Some of its commands wait for as long as it takes; here that is not for ever.
const PATIENCE: &str = "300";

/// The name of the cluster is the only thing that differs.
const PRELUDE: &str = r#"
cargo() {
  if [ "$1 $2" = "xtask cluster" ]; then
    shift 2
    "$RIG" --name "$NAME" "$@"
  else
    command cargo "$@"
  fi
}
eval "$(cargo xtask cluster env)"
"#;

/// The whole of that section, on a cluster with a mesh.
pub(crate) fn release_to_try(rig: &Rig) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // Built before the clock runs.
    let built = Command::new("cargo").args(["xtask", "wasm"]).current_dir(&root).status();
    assert!(built.expect("cargo runs").success());
    let text = fs::read_to_string(root.join("docs/cluster.md")).expect("the document");
    let script = format!("{PRELUDE}{}", commands(section(&text)));
    let output = Command::new("timeout")
        .args([PATIENCE, "bash", "-euxo", "pipefail", "-c", &script])
        .env("RIG", env!("CARGO_BIN_EXE_serin-cluster"))
        .env("NAME", rig.name)
        .current_dir(&root)
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{errors}", output.status);
    let answers = said.matches(r#""version": "6.0.0""#).count();
    assert_eq!(answers, 2, "inside, and through the gateway: {said}");
    assert!(said.contains("fetching image"), "the sidecar's word of the filter: {said}");
}

fn section(document: &str) -> &str {
    let (_, rest) = document.split_once(HEADING).expect("the section");
    rest.split("\n## ").next().unwrap_or(rest)
}

/// What stands in its blocks of commands.
fn commands(section: &str) -> String {
    let blocks = section.split("```sh\n").skip(1).map(|it| it.split("```").next().unwrap_or(it));
    blocks.collect()
}

#[test]
fn the_commands_are_found() {
    let text = "## One\n```sh\nno\n```\n## A release to try\nSay:\n```sh\na\n```\nand\n\
                ```sh\nb\n```\n```yaml\nno\n```\n\n## Next\n```sh\nno\n```\n";
    assert_eq!(commands(section(text)), "a\nb\n");
}
