//! What one rollout does to a request, made ready: its rules, its named routes, its key and its salt.

use crate::affinity::AffinityId;
use crate::bucket::Salt;
use crate::matcher::{Labels, Matcher, Patterns};
use crate::parts::cookie;
use crate::{KeyHash, KeySource, Otherwise, Request, Rollout, Then, Track};

/// One rollout's compiled half; the other half is the [`Rollout`] itself, which every call is given again.
#[derive(Clone, Debug)]
pub(crate) struct Steering {
    pub(crate) salt: Salt,
    pub(crate) needs: Vec<String>,
    rules: Vec<(Matcher, Then)>,
    routes: Vec<Option<Matcher>>,
}

impl Steering {
    pub(crate) fn of(rollout: &Rollout, labels: &Labels, patterns: &Patterns) -> Self {
        let settle = |when| Matcher::settle(when, labels, patterns);
        let rules = rollout.rules.iter();
        let rules = rules.filter_map(|rule| Some((settle(&rule.when)?, rule.then))).collect();
        let routes = rollout.routes.iter().map(|route| settle(&route.when)).collect();
        let salt = Salt::from_hexadecimal(&rollout.salt).unwrap_or_default();
        let mut steering = Self { salt, needs: Vec::new(), rules, routes };
        steering.needs = steering.headers(rollout);
        steering
    }

    /// The first named route that matches.
    pub(crate) fn route(&self, request: &impl Request) -> Option<usize> {
        let matches =
            |route: &Option<Matcher>| route.as_ref().is_some_and(|it| it.matches(request));
        self.routes.iter().position(matches)
    }

    /// The track that the rules demand; none if the request is to be drawn.
    pub(crate) fn ruled(&self, rollout: &Rollout, request: &impl Request) -> Option<Track> {
        let first = self.rules.iter().find(|(matcher, _)| matcher.matches(request));
        match (first, rollout.otherwise) {
            (Some((_, Then::Canary)), _) => Some(Track::Canary),
            (Some((_, Then::Primary)), _) | (None, Otherwise::Primary) => Some(Track::Primary),
            (Some((_, Then::Weighted)), _) | (None, Otherwise::Weighted) => None,
        }
    }

    /// The user: the first key source that holds something, else the affinity cookie.
    pub(crate) fn key(&self, rollout: &Rollout, request: &impl Request) -> Option<KeyHash> {
        rollout.keys.iter().find_map(|source| self.keyed(source, request)).or_else(|| {
            let name = &rollout.affinity.as_ref()?.cookie;
            let header = request.header("cookie")?;
            let id = cookie(&header, name.as_bytes())?;
            AffinityId::is_well_formed(id).then(|| self.salt.hash(id))
        })
    }

    fn keyed(&self, source: &KeySource, request: &impl Request) -> Option<KeyHash> {
        let header = request.header(header_of(source))?;
        let key = match source {
            KeySource::Cookie(name) => cookie(&header, name.as_bytes())?,
            KeySource::Header(_) | KeySource::RequestId => &header,
        };
        (!key.is_empty()).then(|| self.salt.hash(key))
    }

    fn headers(&self, rollout: &Rollout) -> Vec<String> {
        let routes = self.routes.iter().flatten();
        let matchers = self.rules.iter().map(|(matcher, _)| matcher).chain(routes);
        let affinity = rollout.affinity.iter().map(|_| "cookie");
        let mut names: Vec<String> = Vec::new();
        let all = matchers.flat_map(Matcher::headers).chain(rollout.keys.iter().map(header_of));
        for name in all.chain(affinity) {
            if !names.iter().any(|seen| seen == name) {
                names.push(name.to_owned());
            }
        }
        names
    }
}

fn header_of(source: &KeySource) -> &str {
    match source {
        KeySource::Header(name) => name,
        KeySource::Cookie(_) => "cookie",
        KeySource::RequestId => "x-request-id",
    }
}
