//! A rollout's rules in Istio's terms, for callers whom no filter steers.
//!
//! What cannot be said exactly is left out: those callers get primary, never the canary by mistake.

use serde_json::{Value, json};
use serin_route::{Condition, Rule, Subject, Test, Then, Weight};

use super::matches::entries;
use crate::istio::Fields;

/// Match entries and the canary's share for them, in order. None if a rule that keeps requests from the canary
/// cannot be said.
pub(super) fn matched(
    rules: &[Rule],
    matching: &[Fields],
    weight: Weight,
) -> Option<Vec<(Vec<Fields>, Weight)>> {
    let mut found = Vec::new();
    for rule in rules {
        let all = entries(matching);
        let count = all.len();
        let said: Vec<_> = all.into_iter().filter_map(|it| narrow(it, &rule.when)).collect();
        if rule.then == Then::Primary && said.len() < count {
            return None;
        }
        if !said.is_empty() {
            found.push((said, share(rule.then, weight)));
        }
    }
    Some(found)
}

/// At weight 0 everything goes to primary, whatever the rules say.
fn share(then: Then, weight: Weight) -> Weight {
    match then {
        Then::Canary if weight > Weight::ZERO => Weight::FULL,
        Then::Weighted => weight,
        Then::Canary | Then::Primary => Weight::ZERO,
    }
}

/// An entry to which all conditions are added; none if Istio cannot express that.
fn narrow(mut entry: Fields, when: &[Condition]) -> Option<Fields> {
    when.iter().try_for_each(|condition| add(&mut entry, condition))?;
    Some(entry)
}

fn add(entry: &mut Fields, Condition { of, is }: &Condition) -> Option<()> {
    match (of, is) {
        (Subject::Header(name), Test::Absent) => put(entry, "withoutHeaders", name, json!({})),
        (Subject::Header(name), is) => put(entry, "headers", name, text(is)?),
        (Subject::Cookie(name), is) => {
            let value = json!({ "regex": cookie(name, is)? });
            put(entry, "headers", "cookie", value)
        }
        (Subject::Query(_), Test::Absent) => None,
        (Subject::Query(name), is) => put(entry, "queryParams", name, text(is)?),
        // Beside gateways Istio does not look at labels.
        (Subject::Label(_), _) if entry.contains_key("gateways") => None,
        (Subject::Label(name), Test::Exact(value)) => {
            put(entry, "sourceLabels", name, value.as_str().into())
        }
        (Subject::Label(_) | Subject::Method | Subject::Path | Subject::Authority, _) => None,
    }
}

/// Adds to one of an entry's maps. A second, different condition on one name has no room there.
fn put(entry: &mut Fields, map: &str, name: &str, value: Value) -> Option<()> {
    let map = entry.entry(map).or_insert_with(|| json!({})).as_object_mut()?;
    let same = |key: &str| key.eq_ignore_ascii_case(name);
    if let Some((_, other)) = map.iter().find(|(key, _)| same(key)) {
        return (*other == value).then_some(());
    }
    map.insert(name.to_owned(), value);
    Some(())
}

/// Istio's `StringMatch`.
fn text(test: &Test) -> Option<Value> {
    Some(match test {
        Test::Exact(value) => json!({ "exact": value }),
        Test::Prefix(value) => json!({ "prefix": value }),
        Test::Suffix(value) => json!({ "regex": format!(".*{}", escaped(value)) }),
        Test::Regex(value) => json!({ "regex": value }),
        Test::Present => json!({}),
        Test::Absent => return None,
    })
}

/// A regular expression of the `cookie` header; the whole of it must match.
fn cookie(name: &str, is: &Test) -> Option<String> {
    let value = match is {
        Test::Exact(value) => escaped(value),
        Test::Prefix(value) => format!("{}[^;]*", escaped(value)),
        Test::Suffix(value) => format!("[^;]*{}", escaped(value)),
        Test::Present => "[^;]*".to_owned(),
        // One that reaches over the end of its cookie would match what it should not.
        Test::Regex(_) | Test::Absent => return None,
    };
    Some(format!("(.*;\\s*)?{}={value}(\\s*;.*)?", escaped(name)))
}

fn escaped(text: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
    text.chars().fold(String::new(), |mut out, c| {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(of: Subject, is: Test) -> Condition {
        Condition { of, is }
    }

    fn narrowed(entry: &Value, when: &[Condition]) -> Option<Value> {
        narrow(entry.as_object().unwrap().clone(), when).map(Value::Object)
    }

    #[test]
    fn conditions_are_said_in_istios_words() {
        let header = |is| condition(Subject::Header("x-a".into()), is);
        for (when, entry) in [
            (header(Test::Exact("v".into())), json!({"headers": {"x-a": {"exact": "v"}}})),
            (header(Test::Suffix("v.".into())), json!({"headers": {"x-a": {"regex": ".*v\\."}}})),
            (header(Test::Present), json!({"headers": {"x-a": {}}})),
            (header(Test::Absent), json!({"withoutHeaders": {"x-a": {}}})),
            (
                condition(Subject::Query("q".into()), Test::Prefix("p".into())),
                json!({"queryParams": {"q": {"prefix": "p"}}}),
            ),
            (
                condition(Subject::Label("app".into()), Test::Exact("web".into())),
                json!({"sourceLabels": {"app": "web"}}),
            ),
            (
                condition(Subject::Cookie("type".into()), Test::Exact("a+b".into())),
                json!({"headers": {"cookie": {"regex": r"(.*;\s*)?type=a\+b(\s*;.*)?"}}}),
            ),
        ] {
            assert_eq!(narrowed(&json!({}), std::slice::from_ref(&when)), Some(entry), "{when:?}");
        }
    }

    #[test]
    fn what_cannot_be_said_leads_nobody_to_the_canary() {
        let one = condition(Subject::Header("cookie".into()), Test::Regex(".*a.*".into()));
        let other = condition(Subject::Cookie("b".into()), Test::Present);
        assert_eq!(narrowed(&json!({}), &[one.clone(), other]), None);
        assert_eq!(narrowed(&json!({"headers": {"Cookie": {"exact": "x"}}}), &[one]), None);
        let label = condition(Subject::Label("app".into()), Test::Exact("web".into()));
        assert_eq!(narrowed(&json!({"gateways": ["mesh"]}), &[label]), None);
        let absent = condition(Subject::Query("q".into()), Test::Absent);
        assert_eq!(narrowed(&json!({}), std::slice::from_ref(&absent)), None);
        let keep = Rule { when: vec![absent], then: Then::Primary };
        assert_eq!(matched(&[keep], &[], Weight::FULL), None);
    }

    #[test]
    fn the_authors_entries_stay_and_are_multiplied() {
        let rule = |then| Rule {
            when: vec![condition(Subject::Header("x-a".into()), Test::Present)],
            then,
        };
        let given = [json!({"uri": {"prefix": "/a"}}), json!({"uri": {"prefix": "/b"}})];
        let given = given.map(|entry| entry.as_object().unwrap().clone());
        let ten = Weight::from_percent(10);
        let found = matched(&[rule(Then::Canary), rule(Then::Weighted)], &given, ten).unwrap();
        assert_eq!(found[0].0.len(), 2);
        assert_eq!((found[0].1, found[1].1), (Weight::FULL, ten));
        let resting = matched(&[rule(Then::Canary)], &given, Weight::ZERO).unwrap();
        assert_eq!(resting[0].1, Weight::ZERO);
    }
}
