//! Releases that the controller makes: an app, its Canary, callers who are counted from before the first change until
//! after the end, and the story that the status tells meanwhile.
//!
//! ```text
//! released("promotion", async |space| {
//!     let release = Release::set(space, CANARY).await?;
//!     let traffic = Traffic::begin(&release, [release.inside()]).await?;
//!     let changed = release.version("v2", &[]).await?;
//!     release.story.ends(changed, "Succeeded").await?;
//!     traffic.stop().await?.only_the_app_failed()
//! })
//! ```

mod controller;
mod pods;
mod story;
mod target;
mod tester;
mod traffic;
mod users;

use anyhow::{Context, Result};

use crate::{
    left_out, say,
    space::{Reliance, Space, in_space},
};

pub use controller::Controller;
pub use pods::Pods;
pub use story::{Moment, Scene, Story};
pub use target::{APP, Release};
pub use tester::LoadTester;
pub use traffic::{Counted, PROPAGATION, Traffic};

/// The API group of Flagger's Canaries.
pub const FLAGGER: &str = "flagger.app";

/// Runs a test that needs the controller, in a namespace of its own. Where there is none, the test is left out by name.
pub async fn released(test: &str, body: impl AsyncFnOnce(&Space) -> Result<()>) -> Result<()> {
    in_space(test, Reliance::Mesh, async |space| {
        let Some(controller) = Controller::find(&space.mesh).await? else {
            left_out(test, "no serin-controller runs in this cluster");
            return Ok(());
        };
        let outcome = body(space).await;
        if outcome.is_err() {
            say(&controller.said_of(&space.name).await);
        }
        outcome
    })
    .await
}

/// The same for a Canary of Flagger's group, where the controller serves such.
pub async fn released_as_flaggers(
    test: &str,
    body: impl AsyncFnOnce(&Space) -> Result<()>,
) -> Result<()> {
    released(test, async |space| {
        let controller = Controller::find(&space.mesh).await?.context("it was there just now")?;
        if !controller.serves(FLAGGER).await? {
            left_out(test, "the controller does not serve Canaries of flagger.app");
            return Ok(());
        }
        body(space).await
    })
    .await
}
