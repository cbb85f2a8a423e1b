//! Which API group an object is of.

use crate::keys;

/// Which API group an object is of. The types are the same; defaults and clamps differ where Flagger's users expect it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// `serin.dev`.
    #[default]
    Serin,
    /// `flagger.app`.
    Flagger,
}

impl Group {
    /// `serin.dev` or `flagger.app`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serin => keys::GROUP,
            Self::Flagger => keys::FLAGGER_GROUP,
        }
    }

    /// `serin.dev/v1beta1` or `flagger.app/v1beta1`.
    pub fn api_version(self) -> String {
        format!("{}/{}", self.name(), keys::VERSION)
    }

    /// The group that an `apiVersion` names.
    pub fn from_api_version(api_version: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/')?;
        let known = [Self::Serin, Self::Flagger].into_iter().find(|known| known.name() == group)?;
        (version == keys::VERSION).then_some(known)
    }

    /// The group of an object that must be of `wanted` kind.
    pub(crate) fn of(api_version: &str, kind: &str, wanted: &str) -> Result<Self, String> {
        if kind != wanted {
            return Err(format!("kind must be {wanted}, not {kind:?}"));
        }
        Self::from_api_version(api_version).ok_or_else(|| {
            let [ours, flagger] = [Self::Serin, Self::Flagger].map(Self::api_version);
            format!("apiVersion must be {ours} or {flagger}, not {api_version:?}")
        })
    }
}

#[cfg(test)]
mod tests {
    use kube::Resource;

    use super::*;
    use crate::{AlertProvider, Canary, MetricTemplate};

    #[test]
    fn the_group_is_data() {
        for group in [Group::Serin, Group::Flagger] {
            assert_eq!(Group::from_api_version(&group.api_version()), Some(group));
            let path = format!("/apis/{}/v1beta1/namespaces/prod/canaries", group.name());
            assert_eq!(Canary::url_path(&group, Some("prod")), path);
            let path = format!("/apis/{}/v1beta1/metrictemplates", group.name());
            assert_eq!(MetricTemplate::url_path(&group, None), path);
            let path = format!("/apis/{}/v1beta1/alertproviders", group.name());
            assert_eq!(AlertProvider::url_path(&group, None), path);
        }
        for other in ["serin.dev/v1", "serin.dev", "v1beta1", "", "apps/v1"] {
            assert_eq!(Group::from_api_version(other), None, "{other}");
        }
    }
}
