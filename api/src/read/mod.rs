//! A file's text to objects.

use crate::{Canary, MetricTemplate, Problems};

/// What a file holds: one Canary and any number of templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// The Canary.
    pub canary: Canary,
    /// Its queries.
    pub templates: Vec<MetricTemplate>,
}

/// Reads a file.
pub fn read(_text: &str) -> Result<Objects, Problems> {
    Err(Problems::default())
}
