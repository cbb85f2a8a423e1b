//! `spec.analysis.sessionAffinity` and `userKey`: what keeps a user on one side.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_false;
use crate::rules;

/// A cookie that keeps users without a key on their side, canary or primary. It holds a random id; the side follows
/// from the id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::session_affinity()))]
pub struct SessionAffinity {
    /// The cookie's name.
    pub cookie_name: String,
    /// Accepted for Flagger's manifests: one cookie keeps both sides, so that no second one is set. It must differ
    /// from `cookieName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_cookie_name: Option<String>,
    /// Seconds that the cookie lasts; 86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<i64>,
    /// Hosts that get it; the answering one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Hidden from scripts; true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_only: Option<bool>,
    /// Kept apart for each top-level site.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partitioned: bool,
    /// Paths that get it; `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether other sites' requests carry it; `Lax`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_site: Option<SameSite>,
    /// Sent over https only; where the request came so, or where another attribute demands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure: Option<bool>,
}

/// Whether other sites' requests carry a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SameSite {
    /// Never.
    Strict,
    /// When the user follows a link.
    Lax,
    /// Always.
    None,
}

/// Where a user's key is found: one of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::user_key()))]
pub struct UserKey {
    /// In a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// In a cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// In `x-request-id`: every hop of one trace draws alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// Nothing more to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestId {}
