//! The authorization URL and the `state` of a flow.

use std::collections::{BTreeMap, BTreeSet};

use super::{REDIRECT_URI, answer, app, assert_shows_none_of, begin, built, parameter, provider};

#[test]
fn authorization_url_has_exactly_the_documented_parameters() {
    let odd_uri = "https://APP.example:443/a/../cb?x=%7e&y=a+b";
    // As Notion shows it on an integration's page.
    let with_query = "https://api.notion.com/v1/oauth/authorize?client_id=1f2e&response_type=code\
                      &owner=user&redirect_uri=https%3A%2F%2Fapp.example%2Fnotion%2Fcallback&tenant=7";
    for (app, name, value) in [
        (app(), "redirect_uri", REDIRECT_URI),
        (app().redirect_uri(odd_uri), "redirect_uri", odd_uri),
        (app().default_scope(Vec::<String>::new()), "owner", "user"),
        (
            app().default_scope(["read", "write"]),
            "scope",
            "read write",
        ),
        (app().authorization_url(with_query), "tenant", "7"),
    ] {
        let begun = begin(&built(provider(app)));
        let base = "https://api.notion.com/v1/oauth/authorize?";
        assert!(begun.url.as_str().starts_with(base));
        let mut expected = BTreeMap::from([
            ("client_id", "1f2e"),
            ("response_type", "code"),
            ("owner", "user"),
            ("redirect_uri", REDIRECT_URI),
            ("state", begun.pending.expose_state()),
        ]);
        expected.insert(name, value);
        let mut found: Vec<_> = begun.url.query_pairs().into_owned().collect();
        found.sort();
        let expected = expected
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(found, Vec::from_iter(expected));
    }
}

#[test]
fn every_flow_has_a_state_of_256_random_bits() {
    let flow = built(provider(app()));
    let states = (0..100).map(|_| {
        let begun = begin(&flow);
        let state = begun.pending.expose_state().to_owned();
        assert_eq!(parameter(begun.url.as_str(), "state"), state);
        assert_eq!(state.len(), 43);
        let is_url_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(state.bytes().all(is_url_safe), "{state}");
        state
    });
    assert_eq!(states.collect::<BTreeSet<_>>().len(), 100);
}

#[test]
fn debug_of_a_flow_shows_neither_state_nor_secret() {
    let flow = built(provider(app()));
    let begun = begin(&flow);
    let answer = answer("/cb?code=Canary1&state=Canary2");
    let pending = &begun.pending;
    let text = format!("{begun:?} {begun:#?} {pending:?} {flow:?} {answer:?}");
    assert_shows_none_of(&text, &[pending.expose_state(), "secret_3d4c", "Canary"]);
}
