//! Serin itself on a cluster of ours: the controller's image and the filter are built here and then installed as
//! anybody installs them, by `deploy/` and an overlay that says where they are.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};

use crate::{
    access::Access,
    cluster::Cluster,
    images::{self, Profile},
    registry, say,
};

/// Which Canaries are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Those of `serin.dev`, from namespace `serin-system`.
    Serin,
    /// Those of `flagger.app` too, from namespace `istio-system`.
    Flagger,
}

const DEPLOYMENT: &str = "deployment/serin-controller";
const READY_WITHIN: &str = "--timeout=90s";

impl Overlay {
    /// Its directory below `deploy/`.
    fn directory(self) -> &'static str {
        match self {
            Self::Serin => "serin",
            Self::Flagger => "flagger",
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::Serin => "serin-system",
            Self::Flagger => "istio-system",
        }
    }
}

/// Builds, installs and waits until the controller is ready; says what to do next.
pub fn install(cluster: &Cluster, name: &str, overlay: Overlay, profile: Profile) -> Result<()> {
    let access = cluster.access()?;
    let image = images::controller(profile)?;
    cluster.load(&image.archive)?;
    let module = module(cluster)?;
    let [reference] = &image.references[..] else { bail!("the controller has one name") };
    let directory = write(name, overlay, reference, &module)?;
    let shown = directory.display();
    say::part(&format!("applying {shown}"), || apply(&access, &directory))?;
    say::part("waiting for the controller", || wait(&access, overlay.namespace()))?;
    say::note(&next(overlay));
    Ok(())
}

/// The filter in the cluster's registry, by digest.
fn module(cluster: &Cluster) -> Result<String> {
    say::part("building the filter", || images::cargo(&["xtask", "wasm"]))?;
    let registry = cluster.address("registry")?.to_string();
    registry::push_module(&registry, &images::workspace().join("dist/serin.wasm"))
}

/// The overlay, kept in `dist/` for whoever wants to see or change it.
fn write(name: &str, overlay: Overlay, image: &str, module: &str) -> Result<PathBuf> {
    let directory = images::workspace().join("dist").join(format!("install-{name}"));
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let directory = directory.canonicalize()?;
    let file = directory.join("kustomization.yaml");
    fs::write(&file, kustomization(overlay, image, module))
        .with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(directory)
}

fn kustomization(overlay: Overlay, image: &str, module: &str) -> String {
    let directory = overlay.directory();
    let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    format!(
        "\
# Made by `cargo xtask cluster install`: deploy/{directory}, and where the controller and the filter are.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../deploy/{directory}
images:
  - {{name: serin-controller, newName: {repository}, newTag: {tag}}}
patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {{name: serin-controller}}
      spec:
        template:
          spec:
            containers:
              - name: controller
                env:
                  - {{name: SERIN_MODULE, value: \"{module}\"}}
"
    )
}

fn apply(access: &Access, directory: &std::path::Path) -> Result<()> {
    let directory = directory.to_str().context("a path that is no text")?;
    let words = ["apply", "--server-side", "--force-conflicts", "--kustomize", directory];
    access.kubectl(words).map(drop)
}

/// What the controller says last is why it is not ready.
fn wait(access: &Access, namespace: &str) -> Result<()> {
    let words = ["--namespace", namespace, "rollout", "status", DEPLOYMENT, READY_WITHIN];
    let Err(error) = access.kubectl(words) else { return Ok(()) };
    let pods = ["--namespace", namespace, "get", "pods", "--output=wide"];
    let logs = ["--namespace", namespace, "logs", DEPLOYMENT, "--tail=10"];
    let said = [access.kubectl(pods), access.kubectl(logs)].map(|it| match it {
        Ok(text) => text,
        Err(error) => error.to_string(),
    });
    bail!("{error}\n{}", said.join("\n"))
}

fn next(overlay: Overlay) -> String {
    let namespace = overlay.namespace();
    format!(
        "Serin runs in namespace {namespace}. Next, with `eval \"$(cargo xtask cluster env)\"`:\n  \
         serin check                     what this cluster lacks, if anything\n  \
         kubectl apply -f canary.yaml    a Canary beside its Deployment (README.md, \"On your cluster\")\n  \
         kubectl -n {namespace} logs {DEPLOYMENT} --follow"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_names_the_image_and_the_module() {
        let module = format!("oci://10.200.0.1:5000/serin/serin@sha256:{}", "0".repeat(64));
        let text = kustomization(Overlay::Flagger, "rig.serin.dev/controller:12ab", &module);
        assert!(text.contains("- ../../deploy/flagger\n"), "{text}");
        let image = "{name: serin-controller, newName: rig.serin.dev/controller, newTag: 12ab}";
        assert!(text.contains(image), "{text}");
        assert!(text.contains(&format!("{{name: SERIN_MODULE, value: \"{module}\"}}\n")), "{text}");
    }
}
