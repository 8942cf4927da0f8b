use std::time::Duration;

use super::*;
use crate::consent::elicitation::How;
use oauth::TokenError;
use policy::{ConditionError, Misspelled};

/// Of each refusal with values one, and some of the others.
fn examples() -> Vec<Refusal> {
    let name = || "acct".to_owned();
    let rule = || "tools.crm.purge.when".to_owned();
    let question = || {
        Box::new(Elicitation {
            message: "Agree?".to_owned(),
            url: None,
            how: How::Text,
        })
    };
    vec![
        Refusal::Argument(ArgumentError::InString(name())),
        Refusal::Argument(ArgumentError::NoValue(name())),
        Refusal::Argument(ArgumentError::NotOwned(name(), NotOwned::Another)),
        Refusal::Argument(ArgumentError::NotOwned(name(), NotOwned::Unknown)),
        Refusal::Argument(ArgumentError::Rejected(name())),
        Refusal::Argument(ArgumentError::Structure(name())),
        Refusal::Argument(ArgumentError::Tangled),
        Refusal::Confirm(question()),
        Refusal::Denied(Denial::Condition {
            message: None,
            rule: rule(),
            error: ConditionError::NotTrue,
        }),
        Refusal::Denied(Denial::Condition {
            message: None,
            rule: rule(),
            error: ConditionError::Budget,
        }),
        Refusal::Denied(Denial::Denied {
            rule: rule(),
            pattern: "crm.*".to_owned(),
        }),
        Refusal::Denied(Denial::ForeignParameter { name: name() }),
        Refusal::Denied(Denial::Misspelled {
            rule: rule(),
            error: Misspelled::Otherwise(name()),
        }),
        Refusal::Denied(Denial::NoRole),
        Refusal::Denied(Denial::NotOwned {
            rule: rule(),
            error: NotOwned::Another,
        }),
        Refusal::Denied(Denial::Scope {
            needed: vec!["crm:read".to_owned(), "crm:write".to_owned()],
        }),
        Refusal::Denied(Denial::TooOld {
            max_age: Duration::from_secs(300),
            scopes: Vec::new(),
        }),
        Refusal::Exchange(ExchangeError::Denied),
        Refusal::Header(HeaderError::Repeated("host")),
        Refusal::HeaderMismatch(HeaderMismatch::Missing("mcp-method")),
        Refusal::Message(MessageError::Batch),
        Refusal::MissingParameter("name"),
        Refusal::NotConnected("notes".to_owned(), question()),
        Refusal::NoToken,
        Refusal::Page(PageRefusal::IdToken(TokenError::Expired)),
        Refusal::PinBroken(PinRule::FirstSeen),
        Refusal::Store(StoreError::Full),
        Refusal::Token(TokenError::Audience.into()),
    ]
}

#[test]
fn every_placeholder_of_the_table_is_filled_in() {
    const PLACEHOLDERS: [&str; 8] = [
        "{argument}",
        "{connection}",
        "{error}",
        "{max_age}",
        "{parameter}",
        "{pattern}",
        "{rule}",
        "{scopes}",
    ];
    for refusal in examples() {
        let decision = refusal.decision();
        let evidence = decision.evidence.first().unwrap();
        for text in [
            &*evidence.source,
            &*evidence.summary,
            decision.next_action.as_deref().unwrap(),
        ] {
            let left = PLACEHOLDERS.iter().find(|name| text.contains(**name));
            assert_eq!(left, None, "{text}");
        }
    }
}

/// Reasons whose text is that of an error are those whose refusals hold an error.
#[test]
fn texts_of_errors_are_in_the_log() {
    for (refusal, summary) in [
        (
            Refusal::Token(TokenError::Audience.into()),
            "the token is for another audience",
        ),
        (
            Refusal::Page(PageRefusal::IdToken(TokenError::Expired)),
            "the token has expired",
        ),
        (
            Refusal::Header(HeaderError::Repeated("host")),
            "header `host` is repeated",
        ),
        (
            Refusal::Denied(Denial::NotOwned {
                rule: "resources.x.owner".to_owned(),
                error: NotOwned::Another,
            }),
            "the URI names another owner than the caller",
        ),
    ] {
        assert_eq!(refusal.summary(), summary);
    }
}

#[test]
fn a_rule_of_the_policy_is_the_source_and_a_part_of_the_next_action() {
    let decision = Refusal::Denied(Denial::Denied {
        rule: "roles.support.deny".to_owned(),
        pattern: "crm.purge".to_owned(),
    })
    .decision();
    assert_eq!(
        decision.evidence,
        [Evidence::new("roles.support.deny", "`crm.purge` denies it")]
    );
    assert_eq!(
        decision.next_action.unwrap(),
        "if it is meant to be, change roles.support.deny"
    );
}
