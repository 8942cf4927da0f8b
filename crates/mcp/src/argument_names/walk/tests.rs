use super::*;
use crate::argument_names::fold;

fn table() -> NameTable {
    let mut table = NameTable::default();
    for name in [
        "user",
        "user_id",
        "organization_id",
        "crm_customer_number",
        "role",
        "customer",
    ] {
        table.add(name);
    }
    table
}

/// The names that the last of nested keys says; a part of one in parentheses.
fn said(path: &[&str]) -> Vec<String> {
    let table = table();
    let mut names = KeyNames::default();
    for key in path {
        names = table.find_member(&names.begun, key);
    }
    let written = |spoken: &Spoken| match spoken.is_part {
        true => format!("({})", table.name(spoken.name)),
        false => table.name(spoken.name).to_owned(),
    };
    names.spoken.iter().map(written).collect()
}

#[test]
fn s9_a_path_ends_with_a_name() {
    for key in [
        "/user/id",
        "filter->user_id",
        "filter__user_id",
        "filter--user-id",
        "filter.user_id",
        "filter[user_id]",
        "where.user[id]",
        "filter::userId",
        "filter|user_id",
        "filter#user_id",
        "filter:user_id",
        "filter=user_id",
        "filter/user/id",
        "a.b.c.user.id",
        "$.filter.user_id",
        "filter[0].user_id",
        "filter\u{ff0e}user_id",
        "filter\u{2192}user_id",
        "filter.u\u{17f}er_id",
        "user_id[0]",
        "user_id[]",
        "user_id.0",
        "user[0].id",
        "user.0.id",
        "filter[user_id][0]",
        "com.example/user_id",
        "com.example/tenant/userId",
        "{{user_id}}",
        "filter.user id",
        "filter\u{200b}user_id",
    ] {
        assert_eq!(
            said(&[key]).first().map(String::as_str),
            Some("user_id"),
            "{key}"
        );
    }
}

#[test]
fn s9_a_path_goes_on_behind_a_name() {
    for key in [
        "filter[user_id][$eq]",
        "user_id.$eq",
        "user_id.$ne",
        "user_id[$in]",
        "user_id__in",
        "user_id.eq",
        "user_id.theme",
        "user_id ne",
        "filter.user_id >= x",
        "user_id[$in][0]",
        "user_id[0].x",
        "user.id.x",
        "user_id/1/x",
        "user_id IN",
    ] {
        assert_eq!(
            said(&[key]).first().map(String::as_str),
            Some("(user_id)"),
            "{key}"
        );
    }
    for key in [
        "customer.id",
        "customer[eq]",
        "customer.$ne",
        "customer[number]",
        "customer__in",
    ] {
        assert_eq!(said(&[key]), ["(customer)"], "{key}");
    }
}

#[test]
fn s9_nested_keys_make_up_a_name() {
    for path in [
        &["crm", "customer", "number"][..],
        &["crm", "customer_number"],
        &["crm_customer", "number"],
        &["x", "CRM", "Customer", "Number"],
        &["crm.customer", "number"],
        &["crm", "customer.number"],
        &["filter[crm]", "customer", "number"],
        &["crm", "0", "customer", "$elemMatch", "number"],
        &["c", "rm", "customer", "number"],
    ] {
        let said = said(path);
        assert_eq!(
            said.first().map(String::as_str),
            Some("crm_customer_number"),
            "{path:?}"
        );
    }
    for path in [
        &["crm", "x", "customer_number"][..],
        &["customer", "crm", "number"],
        &["number"],
    ] {
        assert!(said(path).is_empty(), "{path:?}");
    }
    assert_eq!(said(&["user", "id"]), ["user_id"]);
}

#[test]
fn other_keys_are_data() {
    for key in [
        "user_identity",
        "users",
        "id",
        "superuser_id_card",
        "user_idea",
        "buser_id",
        "assigned_user_id",
        "assigned user id",
        "Which user_id is it?",
        "Note: user",
        "What is a user?",
        "bob@user.com",
        "user.ts",
        "src/user.ts",
        "src/user/index.ts",
        "src/role/mod.rs",
        "user.theme",
        "/user/settings",
        "role.kubernetes.io",
        "x-user-id",
        "\u{443}ser_note",
        "",
        "...",
        "_",
        "0",
        "price ($)",
        "https://example.com/user/profile",
        "users.0.name",
        "customer_name",
        "createdByUser",
    ] {
        assert!(said(&[key]).is_empty(), "{key}: {:?}", said(&[key]));
    }
}

#[test]
fn every_name_is_told_and_the_one_at_the_end_first() {
    let mut table = NameTable::default();
    for name in ["id", "user_id", "organization_id"] {
        table.add(name);
    }
    let names = |key: &str| {
        let spoken = table.find_member(&Begun::NONE, key).spoken;
        spoken
            .iter()
            .map(|spoken| table.name(spoken.name))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names("organization_id.user.id"),
        ["user_id", "id", "organization_id"]
    );
    let user = table.find_member(&Begun::NONE, "user").begun;
    let nested = table.find_member(&user, "id").spoken;
    assert_eq!(nested.len(), 2, "the key alone, and under its parent");
}

#[test]
fn a_long_key_is_read_to_its_end() {
    let long = format!("{}.user_id", "a.0.".repeat(20_000));
    assert_eq!(said(&[&long]), ["user_id"]);
}

proptest::proptest! {
    /// A key that folds to a name says it, and the quick look-up of one word agrees with the walk.
    #[test]
    fn looks_up_keys_as_folding_says(
        key in "([a-zA-Z_. -]|[ıſK\u{200b}ｕé\u{345}]){0,12}",
        parent in "[a-zA-Z_]{0,6}",
        names in proptest::collection::vec("[a-z]{0,6}(_[a-z]{1,4})?", 0..6),
    ) {
        let mut table = NameTable::default();
        for name in names.iter().map(String::as_str).filter(|name| !fold(name).is_empty()) {
            table.add(name);
        }
        if !fold(&key).is_empty() {
            let own = table.add(&key);
            let said = table.find_member(&Begun::NONE, &key).spoken;
            proptest::prop_assert!(said.contains(&Spoken::whole(own)));
            let under = table.add(&format!("{parent}{key}"));
            let above = table.find_member(&Begun::NONE, &parent).begun;
            let said = table.find_member(&above, &key).spoken;
            proptest::prop_assert!(said.contains(&Spoken::whole(under)));
        }
        for key in [&key, &parent] {
            let found = table.find_member(&Begun::NONE, key).begun;
            proptest::prop_assert_eq!(table.begun_by(&Begun::NONE, key), found);
        }
        let quick = table.find_member(&Begun::NONE, &parent);
        proptest::prop_assert_eq!(quick, Walk::through(&table, &Begun::NONE, &parent));
    }
}

#[test]
fn k8_a_name_after_a_long_word_is_found() {
    for word in ["x".repeat(5000), "\u{fdfa}".repeat(5000), "Ж1".repeat(5000)] {
        for end in [".user_id", "__user_id", "[user_id]", "->USER-ID"] {
            assert_eq!(said(&[&format!("{word}{end}")]), ["user_id"], "{end}");
        }
        let index = "1".repeat(5000);
        assert_eq!(said(&[&format!("user_id[{index}]")]), ["user_id"]);
        assert!(said(&[&format!("{word}user_id")]).is_empty());
    }
}
