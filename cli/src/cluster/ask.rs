//! `serin promote`, `abort`, `pause`, `resume`, `retry`: the wish is written into the Canary, and the controller heeds
//! it. Written twice it is the same wish.

use std::process::ExitCode;
use std::time::Duration;

use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::json;
use serin_api::keys;
use serin_rollout::Intent;

use super::access::refused;
use super::find::{self, Namespaces, One};
use super::intent::{Prospect, prospect, word};
use super::print;
use super::view::View;
use crate::failure::Failure;
use crate::output::aside;

/// How long the controller is given to take a wish up, which a person waits for.
const HEEDED_WITHIN: Duration = Duration::from_secs(5);
const LOOKS: u32 = 20;

/// Asks it of the controller and says what happens next.
pub(super) async fn ask(one: &One, intent: Intent) -> Result<ExitCode, Failure> {
    let cluster = one.access.cluster().await?;
    let view = View::of(find::read(one.find(&cluster).await?)?);
    let (name, namespace) = (view.canary.name(), view.canary.namespace());
    let next = match prospect(&view, intent) {
        Prospect::Write(next) => next,
        Prospect::Already(text) => {
            print(&format!("canary {name}.{namespace} {text}\n"));
            return Ok(ExitCode::SUCCESS);
        }
        Prospect::Impossible(text) => {
            aside(format_args!("serin: canary {name}.{namespace} {text}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    let api = find::api(&cluster, view.canary.group, Namespaces::One);
    let wish = json!({
        // Only as it was seen: what it means depends on that.
        "metadata": {
            "annotations": { keys::INTENT: word(intent) },
            "uid": view.canary.metadata.uid,
        },
    });
    let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(wish)).await;
    patched.map_err(|error| refused(&error))?;
    print(&format!("canary {name}.{namespace}: {} asked; {next}\n", word(intent)));
    if !heeded(&api, name).await {
        aside(format_args!(
            "hint: the controller has not taken it up within {} s; it will when it runs: `serin check`",
            HEEDED_WITHIN.as_secs()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the controller has taken the wish off again, which it does once its status says so.
async fn heeded(api: &Api<DynamicObject>, name: &str) -> bool {
    for _ in 0..LOOKS {
        tokio::time::sleep(HEEDED_WITHIN / LOOKS).await;
        let Ok(object) = api.get_metadata(name).await else { return true };
        if !object.metadata.annotations.iter().flatten().any(|(key, _)| key == keys::INTENT) {
            return true;
        }
    }
    false
}
