//! An instant query of Prometheus, with Flagger's reading of the answer and its words for errors.

use std::time::Duration;

use serde_json::Value as Json;
use serin_rollout::Value;

use crate::access::Access;
use crate::network::Transport;
use crate::url;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks for one number. Of several series the last counts; none, or one that is not a number, is no data.
pub(crate) async fn query(
    transport: &Transport,
    address: &str,
    query: &str,
    access: &Access,
) -> Result<Value, String> {
    let words: Vec<&str> = query.split_whitespace().collect();
    let mut url = url::join(url::parse(address)?, "api/v1/query", "query", &words.join(" "));
    if access.login.is_some() {
        // Credentials in an address give way to those of a Secret. It has a host, so they can be taken.
        let _ = (url.set_username(""), url.set_password(None));
    }
    let request = access.apply(transport.client(access.insecure).get(url))?;
    let reply = transport.send(request, TIMEOUT).await?;
    if reply.status.as_u16() >= 400 {
        return Err(format!("error response: {}", reply.excerpt()));
    }
    read(reply.body())
}

fn read(body: &[u8]) -> Result<Value, String> {
    let answer: Json = serde_json::from_slice(body)
        .map_err(|error| format!("error unmarshaling result: {error}"))?;
    let kind = answer.pointer("/data/resultType").and_then(Json::as_str).unwrap_or_default();
    let result = answer.pointer("/data/result");
    let number = match (kind, result) {
        ("vector", Some(Json::Array(series))) => match series.last() {
            None => return Ok(Value::NoData),
            Some(last) => last.pointer("/value/1"),
        },
        ("scalar", Some(scalar)) => scalar.get(1),
        ("matrix", _) => return Err("query returned multiple values".to_owned()),
        (kind, _) => return Err(format!("a result of type {kind:?} is no number")),
    };
    let text = number.and_then(Json::as_str).ok_or("a sample without a value")?;
    match text.parse::<f64>() {
        Ok(number) if number.is_nan() => Ok(Value::NoData),
        Ok(number) => Ok(Value::Number(number)),
        Err(_) => Err(format!("{text:?} is no number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[&str]) -> Vec<u8> {
        let series: Vec<Json> =
            values.iter().map(|value| serde_json::json!({"value": [1, value]})).collect();
        let data = serde_json::json!({"resultType": "vector", "result": series});
        serde_json::json!({"status": "success", "data": data}).to_string().into_bytes()
    }

    #[test]
    fn the_last_series_counts_and_nothing_is_no_data() {
        assert_eq!(read(&vector(&["1", "99.5"])), Ok(Value::Number(99.5)));
        assert_eq!(read(&vector(&["+Inf"])), Ok(Value::Number(f64::INFINITY)));
        assert_eq!(read(&vector(&[])), Ok(Value::NoData));
        assert_eq!(read(&vector(&["1", "NaN"])), Ok(Value::NoData));
    }

    #[test]
    fn a_scalar_is_a_number_and_the_rest_is_an_error() {
        let scalar = br#"{"data":{"resultType":"scalar","result":[1,"2.5"]}}"#;
        assert_eq!(read(scalar), Ok(Value::Number(2.5)));
        let matrix = br#"{"data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(read(matrix), Err("query returned multiple values".to_owned()));
        assert!(read(b"<html>").is_err());
        assert!(read(&vector(&["many"])).is_err());
    }
}
