//! What `serin local` does not honour.

use crate::{Canary, Problems};

/// The fields of a Canary that mean nothing without a cluster, each as a problem.
pub fn local_problems(_canary: &Canary) -> Problems {
    Problems::default()
}
