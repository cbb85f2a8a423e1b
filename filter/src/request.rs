//! A request's headers, each fetched when a decision first asks for it and never twice.

use std::borrow::Cow;
use std::cell::OnceCell;

use proxy_wasm::types::MapType;
use serin_route::Request;

use crate::host;

/// The headers of the request at hand.
pub(crate) struct Headers<'n> {
    needs: &'n [String],
    fetched: Vec<OnceCell<Option<Vec<u8>>>>,
}

impl<'n> Headers<'n> {
    /// For a decision that may ask for these names.
    pub(crate) fn of(needs: &'n [String]) -> Self {
        Self { needs, fetched: needs.iter().map(|_| OnceCell::new()).collect() }
    }
}

impl Request for Headers<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let fetch = || host::header(MapType::HttpRequestHeaders, name);
        let place = self.needs.iter().position(|needed| needed == name);
        match place.and_then(|place| self.fetched.get(place)) {
            Some(cell) => cell.get_or_init(fetch).as_deref().map(Cow::Borrowed),
            None => fetch().map(Cow::Owned),
        }
    }
}
