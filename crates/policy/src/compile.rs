//! Makes the checked policy from the document.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::approval::{ConfirmDocument, check_approvals, compile_approval};
use super::arguments::{check_names, compile_arguments};
use super::condition::Condition;
use super::connections::document::ConnectionDocument;
use super::connections::{compile_connections, compile_operation, compile_sign_in, name_clients};
use super::decide::compile_decide;
use super::document::{Document, OperationDocument, RoleDocument, Seal};
use super::dpop::compile_dpop;
use super::error::{Errors, PolicyError};
use super::issuers::compile_issuers;
use super::known_tools::KnownTools;
use super::local::compile_local;
use super::lookup::{check_lookup_arguments, check_lookup_cluster, compile_record_owner};
use super::metadata::check_metadata;
use super::param_headers::compile_param_headers;
use super::pattern::{Pattern, PatternList};
use super::resource::parse_resource;
use super::resources::{ResourceRule, compile_resources};
use super::results::compile_results;
use super::roles::{compile_anonymous, compile_roles};
use super::scopes::{ScopeHierarchy, check_scopes};
use super::store::compile_store;
use super::upstream::compile_upstream;
use super::value::Size;
use super::vault::compile_vault;
use super::view::check_view_as;
use super::{Decide, Operation, PAGES, PinRule, Policy};
use crate::origins::Origins;
use crate::own_tools::OwnTool;
use base::seal::MAX_KEYS;
use mcp::argument_names::NameTable;
use mcp::pin::{NotAPin, Pin};
use oauth::Identity;

/// The maximum of `max_body`: Envoy's default buffer limit.
const MAX_BODY: usize = 1024 * 1024;
const MAX_RESPONSE: usize = 16 * 1024 * 1024;
/// The minimum of `max_result`: the error in place of a result must not be larger than the result.
const MIN_MAX_RESULT: usize = 1024;

/// The pin of a tool that must stay as it was first listed.
/// The length limit of `message`, in characters.
const MAX_MESSAGE_CHARACTERS: usize = 1000;
const FIRST_SEEN: &str = "first-seen";

pub(super) fn compile(document: Document) -> Result<Policy, Errors> {
    let mut errors = Errors::new();
    let resource = parse_resource(&document.resource, &mut errors);
    let path = document.path.clone().unwrap_or_else(|| {
        resource
            .as_ref()
            .map_or_else(String::new, |url| url.path().to_owned())
    });
    let is_plain = path.starts_with('/') && !path.contains(['?', '#', '%']) && !path.contains("//");
    // Without a resource there is no default, and the resource has an error already.
    if !is_plain && (document.path.is_some() || resource.is_some()) {
        errors.push(PolicyError::new(
            "path",
            format!("found `{path}`, expected a plain path that starts with `/`"),
        ));
    }
    if path.starts_with(PAGES) {
        let message = format!("found `{path}`; what is under `{PAGES}` is the filter's own");
        errors.push(PolicyError::new("path", message));
    }
    check_scopes("scopes", &document.scopes, &mut errors);
    let scope_hierarchy = ScopeHierarchy::compile(&document.scope_includes, &mut errors);
    check_metadata(&document.metadata, &mut errors);
    let resource_origin = resource
        .as_ref()
        .map(|url| url.origin().ascii_serialization());
    let origins = Origins::compile(&document.origins, resource_origin, &mut errors);
    let issuers = compile_issuers(&document, &mut errors);
    let local = compile_local(&document, &scope_hierarchy, &mut errors);
    if document.observe.sign_in && local.is_some() {
        let message = "goes with `issuers`: a local caller has no token";
        errors.push(PolicyError::new("observe.sign_in", message));
    }
    let dpop = compile_dpop(&document, &mut errors);
    let has_organization = match &local {
        Some(local) => local.organization.is_some(),
        None => {
            let mut issuers = document.issuers.iter();
            issuers.all(|issuer| issuer.identity.organization.is_some())
        }
    };
    let mut names = NameTable::default();
    let arguments = compile_arguments(&document, has_organization, &mut names, &mut errors);
    let mut connections = compile_connections(&document, &mut errors);
    let vault = compile_vault(&document.vault, &mut errors);
    let sign_ins = document.issuers.iter().enumerate();
    let sign_ins = sign_ins
        .map(|(index, issuer)| compile_sign_in(&format!("issuers[{index}]"), issuer, &mut errors));
    let mut sign_ins: Vec<_> = sign_ins.collect();
    name_clients(
        &document.resource,
        &mut connections,
        &mut sign_ins,
        &mut errors,
    );
    let decide = document.decide.as_ref();
    let decide = decide.and_then(|written| compile_decide("decide", written, None, &mut errors));
    let tools = compile_operations(
        "tools",
        &document.tools,
        decide.as_ref(),
        (&document.connections, &document.roles),
        has_organization,
        &mut names,
        &mut errors,
    );
    let prompts = compile_operations(
        "prompts",
        &document.prompts,
        decide.as_ref(),
        (&document.connections, &document.roles),
        has_organization,
        &mut names,
        &mut errors,
    );
    let resources = compile_resources(&document.resources, has_organization, &mut errors);
    let has_key = document.audit.key_env.is_some();
    let results = compile_results(&document.results, has_organization, has_key, &mut errors);
    let roles = compile_roles(&document.roles, &mut errors);
    check_view_as(&document, &mut errors);
    let upstream = compile_upstream(&document, &mut errors);
    let anonymous = document.anonymous.as_ref();
    let anonymous = anonymous.map(|document| compile_anonymous(document, &mut errors));
    let store = compile_store(&document.store);
    check_headers(&document, &mut errors);
    check_sizes(&document, &mut errors);
    check_seal(&document, &mut errors);
    check_approvals(&document, &mut errors);
    check_lookup_cluster(&document, &mut errors);
    check_auth_tools(&document, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let smallest_max_result = smallest_max_result(&tools, &prompts, &resources);
    let known_tools = KnownTools::of(&roles, anonymous.as_ref(), &tools);
    let policy = Policy {
        label: None,
        resource: document.resource,
        path,
        mode: document.mode,
        observe: document.observe,
        issuers,
        local,
        dpop,
        scopes: document.scopes,
        scope_hierarchy,
        metadata: document.metadata,
        roles,
        view_as: document.view_as,
        anonymous,
        decide,
        names,
        arguments,
        tools,
        connections,
        sign_ins,
        vault,
        broken_pin: document.pins.otherwise,
        prompts,
        resources,
        results,
        refusals: document.refusals,
        errors: document.errors,
        known_tools,
        auth_tools: document.auth_tools,
        origins,
        origin_headers: document.origin_headers,
        headers: document.headers,
        upstream,
        audit: document.audit,
        seal: document.seal,
        store,
        compat: document.compat,
        max_body: document.max_body.0,
        max_response: document.max_response.0,
        smallest_max_result,
        max_list_ttl: document.max_list_ttl.0,
        instructions: document.instructions,
        hold: document.hold,
        streams: document.streams,
    };
    check_lookup_arguments(&policy, &mut errors);
    match errors.is_empty() {
        true => Ok(policy),
        false => Err(errors),
    }
}

fn compile_operations(
    section: &str,
    operations: &BTreeMap<String, OperationDocument>,
    general: Option<&Rc<Decide>>,
    (connections, roles): (
        &BTreeMap<String, ConnectionDocument>,
        &BTreeMap<String, RoleDocument>,
    ),
    has_organization: bool,
    names: &mut NameTable,
    errors: &mut Errors,
) -> PatternList<Operation> {
    let mut compiled = Vec::new();
    for (name, operation) in operations {
        let path = format!("{section}.{name}");
        if name.trim().is_empty() || name.trim() != name {
            errors.push(PolicyError::new(
                path.as_str(),
                format!("found `{name}`, expected a name or pattern without spaces around it"),
            ));
        }
        check_scopes(&format!("{path}.scopes"), &operation.scopes, errors);
        let rules = check_names(
            &format!("{path}.arguments"),
            &operation.arguments,
            has_organization,
            errors,
        );
        let condition = operation
            .when
            .as_deref()
            .map(Condition::compile)
            .transpose();
        let condition = condition.unwrap_or_else(|error| {
            errors.push(PolicyError::new(format!("{path}.when"), error));
            None
        });
        let to_rule = |(name, rule): (&str, _)| (names.add(name), name.to_owned(), rule);
        compiled.push(Operation {
            pattern: Pattern::name(name),
            scopes: operation.scopes.clone(),
            max_token_age: operation.max_token_age.map(|period| period.0),
            single_use: operation.single_use,
            confirm: matches!(operation.confirm, ConfirmDocument::User),
            approval: compile_approval(&path, &operation.confirm, roles, errors),
            max_result: compile_max_result(&path, operation.max_result, errors),
            when: condition,
            decide: operation.decide.as_ref().and_then(|written| {
                compile_decide(&format!("{path}.decide"), written, general, errors)
            }),
            message: compile_message(&path, operation, errors),
            connection: compile_operation(section, &path, operation, connections, errors),
            owner: compile_record_owner(&path, operation, has_organization, errors),
            pin: compile_pin(section, name, operation, errors),
            param_headers: compile_param_headers(section, &path, operation, errors),
            arguments: rules.into_iter().map(to_rule).collect(),
        });
    }
    // The most specific rule for an argument comes first.
    compiled.sort_by_key(|operation| {
        let pattern = &operation.pattern;
        (
            !pattern.is_exact(),
            std::cmp::Reverse(pattern.written().len()),
        )
    });
    compiled.into()
}

/// The largest result that the caller receives.
pub(super) fn compile_max_result(
    path: &str,
    written: Option<Size>,
    errors: &mut Errors,
) -> Option<usize> {
    let Size(bytes) = written?;
    if bytes < MIN_MAX_RESULT {
        let message = format!("found {bytes} bytes, expected at least {MIN_MAX_RESULT}");
        errors.push(PolicyError::new(format!("{path}.max_result"), message));
    }
    Some(bytes)
}

fn smallest_max_result(
    tools: &[Operation],
    prompts: &[Operation],
    resources: &[ResourceRule],
) -> Option<usize> {
    let of_calls = tools.iter().chain(prompts).map(|each| each.max_result);
    let of_resources = resources.iter().map(|each| each.max_result);
    of_calls.chain(of_resources).flatten().min()
}

/// The text for the model if the condition does not hold.
fn compile_message(
    path: &str,
    operation: &OperationDocument,
    errors: &mut Errors,
) -> Option<String> {
    let message = operation.message.as_ref()?;
    let length = message.trim().chars().count();
    if length == 0 || length > MAX_MESSAGE_CHARACTERS {
        let found = format!("found {length} characters, expected 1 to {MAX_MESSAGE_CHARACTERS}");
        errors.push(PolicyError::new(format!("{path}.message"), found));
    }
    if operation.when.is_none() {
        let message = "says why `when` refuses a call, and there is no `when`";
        errors.push(PolicyError::new(format!("{path}.message"), message));
    }
    Some(message.clone())
}

/// A pattern matches different tools, so these have no pin in common.
fn compile_pin(
    section: &str,
    name: &str,
    operation: &OperationDocument,
    errors: &mut Errors,
) -> Option<PinRule> {
    let written = operation.pin.as_deref()?;
    let path = format!("{section}.{name}.pin");
    let mut refuse = |message: String| errors.push(PolicyError::new(path.as_str(), message));
    if section != "tools" {
        refuse("only tools are pinned".to_owned());
    }
    if written == FIRST_SEEN {
        return Some(PinRule::FirstSeen);
    }
    if name.contains('*') {
        refuse(format!(
            "only a tool by its whole name has a pin; for a pattern, expected `{FIRST_SEEN}`"
        ));
    }
    let pin: Result<Pin, NotAPin> = written.parse();
    pin.map_err(|error| refuse(format!("{error}, or `{FIRST_SEEN}`")))
        .ok()
        .map(PinRule::As)
}

fn check_headers(document: &Document, errors: &mut Errors) {
    let headers = &document.headers;
    let named = [
        ("headers.user".to_owned(), &headers.user),
        ("headers.organization".to_owned(), &headers.organization),
        ("headers.roles".to_owned(), &headers.roles),
    ];
    let removed = document.upstream.remove_headers.iter().enumerate();
    let removed = removed.map(|(index, name)| (format!("upstream.remove_headers[{index}]"), name));
    let of_pages = document.origin_headers.iter().enumerate();
    let of_pages = of_pages.map(|(index, name)| (format!("origin_headers[{index}]"), name));
    let passed = document.upstream.pass_headers.iter().enumerate();
    let passed = passed.map(|(index, name)| (format!("upstream.pass_headers[{index}]"), name));
    let view_as = document.view_as.header.iter();
    let view_as = view_as.map(|name| ("view_as.header".to_owned(), name));
    for (path, name) in named
        .into_iter()
        .chain(removed)
        .chain(of_pages)
        .chain(passed)
        .chain(view_as)
    {
        let token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let reserved = name.starts_with("mcp-")
            || [
                "host",
                "authorization",
                "content-length",
                "content-type",
                "transfer-encoding",
            ]
            .contains(&name.as_str());
        if name.is_empty() || !name.bytes().all(token) || reserved {
            errors.push(PolicyError::new(
                path,
                format!("found `{name}`, expected a header name of lower-case letters, digits and dashes that the protocol does not use"),
            ));
        }
    }
    for (key, name, others) in [
        ("organization", &headers.organization, vec![&headers.user]),
        (
            "roles",
            &headers.roles,
            vec![&headers.user, &headers.organization],
        ),
    ] {
        if others.contains(&name) {
            let message = format!("found `{name}` a second time, expected three different names");
            errors.push(PolicyError::new(format!("headers.{key}"), message));
        }
    }
    let own = [&headers.user, &headers.organization, &headers.roles];
    let view_as = document.view_as.header.as_ref();
    for (index, name) in document.upstream.pass_headers.iter().enumerate() {
        let is_set = own.contains(&name) || view_as == Some(name);
        if is_set || document.upstream.remove_headers.contains(name) {
            errors.push(PolicyError::new(
                format!("upstream.pass_headers[{index}]"),
                format!("found `{name}`, which the filter removes or sets"),
            ));
        }
    }
    if view_as.is_some_and(|name| own.contains(&name)) {
        let message = "found one of `headers`, expected a name of its own";
        errors.push(PolicyError::new("view_as.header", message));
    }
}

fn check_seal(document: &Document, errors: &mut Errors) {
    let seal = document.seal.as_ref();
    for (section, operations) in [("tools", &document.tools), ("prompts", &document.prompts)] {
        let confirms = |confirm: &ConfirmDocument| !matches!(confirm, ConfirmDocument::No);
        for (name, _) in operations
            .iter()
            .filter(|(_, operation)| confirms(&operation.confirm))
        {
            let message = match (section, seal) {
                ("tools", Some(_)) => continue,
                ("tools", None) => "needs `seal`: what the user agreed to is bound to the call",
                _ => "only calls of tools are agreed to",
            };
            errors.push(PolicyError::new(
                format!("{section}.{name}.confirm"),
                message,
            ));
        }
    }
    if let Some(seal) = seal {
        check_keys(seal, errors);
    }
    // The end of a sealed id has whole seconds.
    if seal.is_some_and(|seal| seal.lifetime.0.as_secs() == 0) {
        errors.push(PolicyError::new("seal.lifetime", "expected at least 1s"));
    }
}

fn check_keys(seal: &Seal, errors: &mut Errors) {
    let mut refuse = |key: &str, message: &str| errors.push(PolicyError::new(key, message));
    match (&seal.key_env, seal.keys.len()) {
        (None, 0) => refuse(
            "seal",
            "expected `key_env`, or `keys` while one key replaces another",
        ),
        (None, 1..=MAX_KEYS) | (Some(_), 0) => {}
        (None, _) => refuse("seal.keys", &format!("expected at most {MAX_KEYS} keys")),
        (Some(_), _) => refuse(
            "seal.keys",
            "expected `key_env` or `keys`: `key_env` is short for `keys` with one key",
        ),
    }
    if seal.keys.len() > 1 && seal.names_env.is_none() {
        let message = "needed with several keys: the variable with the key that was used alone so far. Records of \
                       the store are found by it, so it stays when keys change";
        refuse("seal.names_env", message);
    }
    for (at, key) in seal.keys.iter().enumerate() {
        let before = seal.keys.iter().take(at);
        if before.clone().any(|other| other.env == key.env) {
            let message = format!("found `{}` before", &*key.env);
            errors.push(PolicyError::new(format!("seal.keys[{at}].env"), message));
        }
    }
}

/// Refuses rules for the filter's own tools: they would have no effect.
fn check_auth_tools(document: &Document, errors: &mut Errors) {
    if !document.auth_tools {
        return;
    }
    let mut refuse = |path: String, written: &str| {
        if let Some(own) = own_tool(written) {
            let message = format!(
                "`{}` is a tool of this filter's own (`auth_tools`), for every caller that signed in",
                own.name()
            );
            errors.push(PolicyError::new(path, message));
        }
    };
    for written in document.tools.keys() {
        refuse(format!("tools.{written}"), written);
    }
    for (name, role) in &document.roles {
        let grants = role.tools.iter().filter(|written| !written.contains('*'));
        let grants = grants.map(|written| ("tools", written));
        let denials = role.deny.iter().map(|written| ("deny", written));
        for (list, written) in grants.chain(denials) {
            refuse(format!("roles.{name}.{list}"), written);
        }
    }
}

/// The filter's own tool that a pattern matches. A pattern for all tools is none.
fn own_tool(written: &str) -> Option<OwnTool> {
    let pattern = Pattern::name(written);
    let is_about = |tool: &OwnTool| pattern.matches(tool.name(), Identity::anonymous());
    let of_these = written.starts_with("auth_");
    OwnTool::ALL
        .into_iter()
        .find(|tool| of_these && is_about(tool))
}

fn check_sizes(document: &Document, errors: &mut Errors) {
    for (path, size, most) in [
        ("max_body", document.max_body.0, MAX_BODY),
        ("max_response", document.max_response.0, MAX_RESPONSE),
    ] {
        if size == 0 || size > most {
            let message = format!("found {size} bytes, expected 1 to {most}");
            errors.push(PolicyError::new(path, message));
        }
    }
}
