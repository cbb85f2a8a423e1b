//! What is measured: a filter chain and the route that a request takes.

use serin_e2e::modules::Call;

/// Calls to the host that are timed apart, for they are what a filter's time is made of.
pub(crate) const CALLS: [Call; 5] =
    [Call::RouteName, Call::Header, Call::ResponseFlags, Call::Time, Call::SetHeader];

/// The filters before the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Chain {
    /// None.
    Bare,
    /// A wasm filter that does nothing in every callback that the SDK exports.
    Empty,
    /// Lua that does what ours does, as far as Lua can.
    Lua,
    /// Ours.
    Ours,
    /// The empty filter, but for one call made [`TIMES`] times.
    Calling(Call),
}

/// How often a timed call is made for each request.
pub(crate) const TIMES: usize = 16;

/// The route of a request, and how its track is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Route {
    /// On no route of ours.
    Unsteered,
    /// Drawn by weight.
    Weighted,
    /// Drawn by a user's key.
    Sticky,
    /// Sent by a rule.
    Ruled,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Case {
    pub(crate) chain: Chain,
    pub(crate) route: Route,
}

impl Chain {
    /// The chains to be compared.
    pub(crate) const COMPARED: [Self; 4] = [Self::Bare, Self::Empty, Self::Lua, Self::Ours];

    /// These, and those that explain the difference.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::COMPARED.into_iter().chain(CALLS.map(Self::Calling))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "none",
            Self::Empty => "empty wasm",
            Self::Lua => "lua",
            Self::Ours => "serin",
            Self::Calling(Call::RouteName) => "property xds.route_name",
            Self::Calling(Call::Header) => "header, there",
            Self::Calling(Call::ResponseFlags) => "property response.flags",
            Self::Calling(Call::Time) => "time",
            Self::Calling(Call::SetHeader) => "set a header",
        }
    }
}

impl Route {
    pub(crate) const ALL: [Self; 4] = [Self::Unsteered, Self::Weighted, Self::Sticky, Self::Ruled];

    /// Its name, which is its rollout's too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unsteered => "unsteered",
            Self::Weighted => "weighted",
            Self::Sticky => "sticky",
            Self::Ruled => "rule",
        }
    }
}

impl Case {
    /// Every chain to be compared, on every route.
    pub(crate) fn compared() -> Vec<Self> {
        let of = |chain| Route::ALL.map(|route| Self { chain, route });
        Chain::COMPARED.into_iter().flat_map(of).collect()
    }

    /// A timed call, on the route of which it says most.
    pub(crate) fn calling(call: Call) -> Self {
        Self { chain: Chain::Calling(call), route: Route::Unsteered }
    }

    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Self::compared();
        all.extend(CALLS.map(Self::calling));
        all
    }

    /// What it is compared with.
    pub(crate) fn baseline(self) -> Self {
        Self { chain: Chain::Bare, ..self }
    }
}
