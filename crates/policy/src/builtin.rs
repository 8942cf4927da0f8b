//! Built-in names of arguments that identify the caller, anywhere in a message. They apply unless the
//! policy turns them off or has its own rule for a name.

use super::arguments::ArgumentRule;
use super::document::IdentityField;

/// Names of the caller.
const USER: &[&str] = &[
    "user",
    "user_id",
    "user_ids",
    "user_uuid",
    "uid",
    "current_user",
    "current_user_id",
    "caller",
    "caller_id",
    "requester_id",
    "acting_user",
    "acting_user_id",
    "principal",
    "principal_id",
    "session_user",
    "session_user_id",
];

/// Names of the caller's organization.
const ORGANIZATION: &[&str] = &[
    "organization",
    "organization_id",
    "organization_ids",
    "organization_uuid",
    "organisation",
    "organisation_id",
    "organisation_ids",
    "organisation_uuid",
    "org",
    "org_id",
    "org_ids",
    "org_uuid",
    "tenant",
    "tenant_id",
    "tenant_ids",
    "tenant_uuid",
    "workspace",
    "workspace_id",
    "workspace_ids",
    "workspace_uuid",
    "current_organization_id",
    "current_org_id",
    "current_tenant_id",
    "current_workspace_id",
];

/// Names of the caller's role and rights.
const ROLE: &[&str] = &[
    "role",
    "roles",
    "role_id",
    "role_ids",
    "role_name",
    "role_names",
    "user_role",
    "user_roles",
    "permission",
    "permissions",
    "permission_id",
    "permission_ids",
    "privileges",
    "access_level",
    "is_admin",
    "is_staff",
    "is_superuser",
    "as_admin",
    "superuser",
];

/// Names that identify the caller on one server and are data on another, and names for acting as another
/// user. Only the policy can decide.
const UNCLEAR: &[&str] = &[
    "account",
    "account_id",
    "account_ids",
    "account_uuid",
    "member",
    "member_id",
    "member_ids",
    "member_uuid",
    "membership_id",
    "organization_key",
    "organization_name",
    "organization_slug",
    "org_key",
    "org_name",
    "org_slug",
    "tenant_key",
    "tenant_name",
    "tenant_slug",
    "workspace_key",
    "workspace_name",
    "workspace_slug",
    "user_email",
    "user_name",
    "username",
    "user_key",
    "on_behalf_of",
    "impersonate",
    "impersonate_user",
    "impersonate_user_id",
    "impersonated_user",
    "run_as",
    "act_as",
    "sudo",
];

/// All built-in names with their rules. Without an organization in the identity, its names are refused:
/// there is no value to set.
pub fn builtin_arguments(organization: bool) -> impl Iterator<Item = (&'static str, ArgumentRule)> {
    let of_organization = if organization {
        ArgumentRule::Set(IdentityField::Organization)
    } else {
        ArgumentRule::Reject
    };
    [
        (USER, ArgumentRule::Set(IdentityField::User)),
        (ORGANIZATION, of_organization),
        (ROLE, ArgumentRule::Remove),
        (UNCLEAR, ArgumentRule::Reject),
    ]
    .into_iter()
    .flat_map(|(names, rule)| names.iter().map(move |name| (*name, rule.clone())))
}
