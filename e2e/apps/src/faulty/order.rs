//! What a single request orders.

use hyper::{HeaderMap, Uri};

use super::{args::TIME_MAX, faults::status};
use crate::{headers, quantity::Time};

/// An order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) status: Option<hyper::StatusCode>,
    pub(super) delay: Option<Time>,
    pub(super) reset: bool,
}

impl Order {
    /// What a request orders, if anything; a header counts before the query.
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Result<Option<Self>, String> {
        let word = |header: &str, name: &str| -> Result<Option<String>, String> {
            match headers.get(header) {
                Some(value) => {
                    let text = value.to_str().map_err(|_| format!("{header}: not ASCII"))?;
                    Ok(Some(text.to_owned()))
                }
                None => Ok(queried(uri, name)),
            }
        };
        let (ordered_status, ordered_delay, ordered_reset) = (
            word(headers::ORDER_STATUS, "status")?,
            word(headers::ORDER_DELAY, "delay")?,
            word(headers::ORDER_RESET, "reset")?,
        );
        if ordered_status.is_none() && ordered_delay.is_none() && ordered_reset.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            status: ordered_status.map(|it| read_status(&it)).transpose()?,
            delay: ordered_delay.map(|it| read_delay(&it)).transpose()?,
            reset: ordered_reset.map(|it| read_reset(&it)).transpose()?.unwrap_or(false),
        }))
    }
}

/// A value in the query. Nothing that may be ordered needs an escape.
fn queried(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

fn read_status(text: &str) -> Result<hyper::StatusCode, String> {
    let code = text.parse().map_err(|_| format!("status: must be a number, not {text:?}"))?;
    status(code).map_err(|error| format!("status: {error}"))
}

fn read_delay(text: &str) -> Result<Time, String> {
    let time: Time = text.parse().map_err(|error| format!("delay: {error}"))?;
    if time.0 > TIME_MAX {
        return Err(format!("delay: must be at most {}, not {time}", Time(TIME_MAX)));
    }
    Ok(time)
}

fn read_reset(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("reset: must be true or false, not {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(uri: &str, header: Option<(&str, &str)>) -> Result<Option<Order>, String> {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        Order::of(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn headers_and_query_order_the_same() {
        assert_eq!(order("/", None), Ok(None));
        assert_eq!(order("/?other=1", None), Ok(None));
        let failing = order("/?status=503", None).unwrap();
        assert_eq!(failing, order("/", Some(("x-fault-status", "503"))).unwrap());
        assert_eq!(failing.and_then(|it| it.status).map(|it| it.as_u16()), Some(503));
        assert_eq!(
            order("/?status=500", Some(("x-fault-status", "503"))).unwrap(),
            failing,
            "a header counts before the query"
        );
        let slow = order("/?a=b&delay=20ms&reset", None).unwrap().unwrap();
        assert_eq!((slow.delay.map(|it| it.0.as_millis()), slow.reset), (Some(20), true));
    }

    #[test]
    fn wrong_orders_are_told() {
        for (uri, told) in [
            ("/?status=9", "status: must be a status from 200 to 599, not 9"),
            ("/?status=x", "status: must be a number, not \"x\""),
            ("/?delay=5", "delay: must name a unit (ms, s, m, h): \"5\" has none"),
            ("/?delay=2h", "delay: must be at most 10m, not 2h"),
            ("/?reset=maybe", "reset: must be true or false, not \"maybe\""),
        ] {
            assert_eq!(order(uri, None).unwrap_err(), told);
        }
    }
}
