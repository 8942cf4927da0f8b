use std::time::Duration;

use super::*;
use crate::pages::fake_world::connection;
use policy::ConnectionKind;

const NOW: u64 = 1_900_000_000;

fn place() -> AccountPlace {
    AccountPlace {
        resource: "https://a/mcp".into(),
        issuer: "https://i".into(),
        user: "dana".into(),
        conversation: ConversationId::Session("s-1".into()),
        connection: "notes".into(),
        client: String::new(),
        test_user: String::new(),
        kept: String::new(),
    }
}

fn tokens() -> Tokens {
    Tokens {
        access_token: Secret::new("at-1".into()),
        refresh_token: Some(Secret::new("rt-1".into())),
        expires: Some(UnixTime::from_secs(NOW + 300)),
        scope: Some("notes.read".into()),
        id_token: None,
    }
}

fn linked(rules: &Connection) -> LinkedAccount {
    let tokens = AccountTokens::new(rules.oauth().unwrap(), tokens());
    let credential = AccountCredential::Tokens(tokens);
    LinkedAccount::new(rules, credential, UnixTime::from_secs(NOW))
}

fn connected() -> LinkedAccount {
    LinkedAccount {
        name: Some("dana@notes".into()),
        ..linked(&connection())
    }
}

fn sealer() -> Sealer {
    Sealer::new(&"s".repeat(32)).unwrap()
}

fn written(operation: StoreOperation) -> StoreRecord {
    match operation {
        StoreOperation::Put(record) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_account_opens_at_its_own_place() {
    let record = written(place().put(&sealer(), &connected()));
    assert_eq!(place().get(), StoreOperation::Get(record.key.clone()));
    assert_eq!(
        place().open(&sealer(), &record.value, UnixTime::from_secs(NOW)),
        Some(connected())
    );
    for secret in ["at-1", "rt-1", "dana"] {
        assert!(!format!("{record:?}{:?}", connected().credential).contains(secret));
        assert!(!record.value.contains(secret));
    }
}

#[test]
fn b42_an_account_does_not_open_at_another_place() {
    let record = written(place().put(&sealer(), &connected()));
    let other = |change: fn(&mut AccountPlace)| {
        let mut place = place();
        change(&mut place);
        place
    };
    let others = [
        other(|place| place.resource = "https://b/mcp".into()),
        other(|place| place.issuer = "https://j".into()),
        other(|place| place.user = "eve".into()),
        other(|place| place.conversation = ConversationId::Session("s-2".into())),
        other(|place| place.conversation = ConversationId::Claim("s-1".into())),
        other(|place| place.conversation = ConversationId::User),
        other(|place| place.conversation = ConversationId::Meta("s-1".into(), String::new())),
        other(|place| {
            let user = Box::new(ConversationId::User);
            place.conversation = ConversationId::InSession(user, "s-1".into());
        }),
        other(|place| place.connection = "bank".into()),
        other(|place| place.test_user = "tina".into()),
        other(|place| place.kept = "k-1".into()),
    ];
    for place in others {
        assert_ne!(place.key(), record.key, "{place:?}");
        assert_eq!(
            place.open(&sealer(), &record.value, UnixTime::from_secs(NOW)),
            None,
            "{place:?}"
        );
    }
    let stranger = Sealer::new(&"t".repeat(32)).unwrap();
    assert_eq!(
        place().open(&stranger, &record.value, UnixTime::from_secs(NOW)),
        None
    );
}

/// All parts of a place that a client, a server or a user chooses, with the words that the key itself uses.
#[test]
fn a15_no_two_places_have_one_key() {
    let words = ["", "kept", "session", "claim", "test user", "user", "notes"];
    let mut conversations = vec![ConversationId::User];
    for word in words {
        let claim = ConversationId::Claim(word.into());
        conversations.push(ConversationId::Session(word.into()));
        conversations.push(claim.clone());
        for other in words {
            let meta = ConversationId::Meta(word.into(), other.into());
            conversations.push(meta.clone());
            for of in [claim.clone(), meta] {
                conversations.push(ConversationId::InSession(Box::new(of), other.into()));
            }
        }
    }
    let mut keys = std::collections::HashMap::new();
    for conversation in &conversations {
        for connection in ["kept", "session", "claim", "user", "notes"] {
            for client in words {
                for (test_user, kept) in [
                    ("", ""),
                    ("kept", ""),
                    ("", "session"),
                    ("", "kept"),
                    ("x", "kept"),
                ] {
                    let place = AccountPlace {
                        conversation: conversation.clone(),
                        connection: connection.into(),
                        client: client.into(),
                        test_user: test_user.into(),
                        kept: kept.into(),
                        ..place()
                    };
                    let before = keys.insert(place.key(), place.clone());
                    assert!(
                        before.as_ref().is_none_or(|before| *before == place),
                        "{place:?} {before:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_refresh_does_not_change_the_end_of_an_account() {
    let ends = NOW + 600;
    let refreshed = connected().refreshed(Tokens {
        access_token: Secret::new("at-2".into()),
        refresh_token: None,
        expires: Some(UnixTime::from_secs(NOW + 5000)),
        scope: None,
        id_token: None,
    });
    assert_eq!(refreshed.ends, UnixTime::from_secs(ends));
    let refresh_token = |account: &LinkedAccount| account.tokens().unwrap().refresh_token.clone();
    assert_eq!(refresh_token(&refreshed), refresh_token(&connected()));
    let record = written(place().put(&sealer(), &refreshed));
    let grace = END_GRACE.as_secs();
    assert_eq!(record.expires, UnixTime::from_secs(ends + grace));
    assert!(
        place()
            .open(&sealer(), &record.value, UnixTime::from_secs(ends - 1))
            .is_some()
    );
    assert_eq!(
        place().open(&sealer(), &record.value, UnixTime::from_secs(ends)),
        None
    );
}

#[test]
fn an_account_older_than_the_call_allows_is_not_usable() {
    let connected = connected();
    for (max_age, age, expected) in [
        (600, 0, Usable::Now),
        (600, 269, Usable::Now),
        (600, 270, Usable::AfterRefresh),
        (60, 59, Usable::Now),
        (60, 60, Usable::No),
        (9999, 600, Usable::No),
    ] {
        let now = UnixTime::from_secs(NOW + age);
        let usable = connected.usable(Duration::from_secs(max_age), now);
        assert_eq!(usable, expected, "{max_age} {age}");
    }
}

#[test]
fn an_account_without_refresh_ends_with_its_token() {
    let mut rules = connection();
    if let ConnectionKind::OAuth(oauth) = &mut rules.kind {
        oauth.refresh = false;
    }
    rules.lifetime = Duration::from_secs(3600);
    let connected = linked(&rules);
    assert_eq!(connected.tokens().unwrap().refresh_token, None);
    assert_eq!(
        connected.usable(Duration::from_secs(3600), UnixTime::from_secs(NOW + 299)),
        Usable::Now
    );
    assert_eq!(
        connected.usable(Duration::from_secs(3600), UnixTime::from_secs(NOW + 300)),
        Usable::No
    );
    let record = written(place().put(&sealer(), &connected));
    let grace = END_GRACE.as_secs();
    assert_eq!(record.expires, UnixTime::from_secs(NOW + 300 + grace));
    let open = |at| place().open(&sealer(), &record.value, UnixTime::from_secs(at));
    assert_eq!(open(NOW + 299), Some(connected));
    assert_eq!(open(NOW + 300), None);
}
