//! `auth_switch`: a link to the page on which the user chooses the account that calls use. The model gets no
//! choice: it would act for another account unasked.

use serde_json::json;

use super::sentences::plain;
use super::{OwnToolAnswer, OwnToolCaller, OwnToolError, failed};
use crate::accounts::AccountContext;
use crate::accounts::kept::accounts_at;
use crate::accounts::vault::NoAccountPlace;
use crate::pages::connect_link;
use policy::{Connection, Policy};

/// Answers a call of `auth_switch`.
pub(super) async fn answer(
    policy: &Policy,
    accounts: Option<&AccountContext>,
    caller: &OwnToolCaller<'_>,
    connection: &Connection,
) -> Result<OwnToolAnswer, OwnToolError> {
    let place = match caller.place(policy, connection) {
        Ok(place) => place,
        Err(NoAccountPlace::NoConversation) => return Err(OwnToolError::NoConversation),
        Err(NoAccountPlace::TestUser) => return Ok(failed(super::NO_CONNECTION)),
    };
    let accounts = accounts.ok_or(OwnToolError::NoSealKey)?;
    let linked = accounts_at(accounts, &place).await?;
    let url = connect_link(policy, &accounts.sealer, &place, accounts.now());
    let title = &connection.title;
    let (current, others): (Vec<_>, Vec<_>) = linked
        .into_iter()
        .partition(|account| account.place.kept.is_empty());
    let name = |name: Option<String>| {
        name.map_or_else(
            || "an account without a name".to_owned(),
            |name| plain(&name),
        )
    };
    let current = current.into_iter().next().map(|account| name(account.name));
    let others: Vec<String> = others.into_iter().map(|other| name(other.name)).collect();
    let now = match &current {
        Some(current) => format!("{title}: {current} is used now."),
        None => format!("{title}: no account is connected."),
    };
    let text = format!("{now} The user chooses the account here: {url}");
    let mut said = json!({"connection": connection.name, "url": url, "others": others});
    if let Some(current) = &current {
        super::set(&mut said, "account", json!(current));
    }
    let content = json!([{"type": "text", "text": text}]);
    Ok(OwnToolAnswer {
        result: json!({"content": content, "structuredContent": said}),
        connection: Some(connection.name.clone()),
        account: current,
    })
}
