//! The pages in a fake world of browsers, an issuer and a resource.

mod accounts;
mod approvals;
mod attacks;
mod confirm;
mod connect;
mod find_client;
mod logout;
mod overview;
mod registration;
mod short_state;
mod step_up;
mod store_failures;
mod typed;

use super::fake_world::{document, policy};
use crate::accounts::Clients;

#[test]
fn a_missing_secret_is_named() {
    for environment in [None, Some(String::new())] {
        let error = Clients::of(&policy(&document()), &|_| environment.clone()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "connections.notes.client_secret_env: the VM's environment has no variable \
             `NOTES_SECRET`; set it under `vm_config.environment_variables`"
        );
    }
}
