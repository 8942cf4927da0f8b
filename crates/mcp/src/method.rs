//! The methods a client may send.

/// The two protocol eras (MCP 2026-07-28 "Versioning").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: stateless, `_meta` and `Mcp-*` headers on every request.
    Modern,
    /// 2025-11-25 and earlier: `initialize`, sessions and requests of the server.
    Legacy,
}

/// The methods that a decision tells apart, with the parameter it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `tools/call`: `params.name`.
    CallTool,
    /// `prompts/get`: `params.name`.
    GetPrompt,
    /// `resources/read`, `resources/subscribe`, `resources/unsubscribe`: `params.uri`.
    UseResource,
    /// `completion/complete`: `params.ref`.
    Complete,
    /// `subscriptions/listen`: resource URIs and task ids in `params.notifications`.
    Listen,
    /// A list that is filtered for the caller.
    List(List),
    /// Methods about the connection itself. They need a caller only.
    Session,
    /// `tasks/*`: `params.taskId`.
    Task,
}

/// The lists that depend on the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum List {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
}

impl Method {
    /// The method of a request. `None`: this era has no such method.
    pub fn of_request(name: &str, era: Era) -> Option<Self> {
        let method = match (name, era) {
            ("tools/call", _) => Self::CallTool,
            ("prompts/get", _) => Self::GetPrompt,
            ("resources/read", _) => Self::UseResource,
            ("resources/subscribe" | "resources/unsubscribe", Era::Legacy) => Self::UseResource,
            ("completion/complete", _) => Self::Complete,
            ("subscriptions/listen", Era::Modern) => Self::Listen,
            ("tools/list", _) => Self::List(List::Tools),
            ("prompts/list", _) => Self::List(List::Prompts),
            ("resources/list", _) => Self::List(List::Resources),
            ("resources/templates/list", _) => Self::List(List::ResourceTemplates),
            ("server/discover", Era::Modern) => Self::Session,
            ("initialize" | "ping" | "logging/setLevel", Era::Legacy) => Self::Session,
            ("tasks/get" | "tasks/cancel", _) => Self::Task,
            ("tasks/update", Era::Modern) => Self::Task,
            // Not `tasks/list`: only the server knows the owners of the tasks.
            ("tasks/result", Era::Legacy) => Self::Task,
            _ => return None,
        };
        Some(method)
    }

    /// The method of a client's notification. `None`: this era has no such notification.
    pub fn of_notification(name: &str, era: Era) -> Option<Self> {
        match (name, era) {
            ("notifications/cancelled", _)
            | (
                "notifications/initialized"
                | "notifications/progress"
                | "notifications/roots/list_changed",
                Era::Legacy,
            ) => Some(Self::Session),
            _ => None,
        }
    }
}

impl List {
    /// The member of the result that holds the list.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }

    /// The list that this member of a result holds.
    pub fn of_member(member: &str) -> Option<Self> {
        [
            Self::Tools,
            Self::Prompts,
            Self::Resources,
            Self::ResourceTemplates,
        ]
        .into_iter()
        .find(|list| list.member() == member)
    }

    /// The member of an item that names it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b17_unlisted_methods_are_unknown() {
        for era in [Era::Modern, Era::Legacy] {
            for name in [
                "",
                "tools/Call",
                "tools/call ",
                "tools/delete",
                "x",
                "sampling/createMessage",
            ] {
                assert_eq!(Method::of_request(name, era), None, "{name}");
                assert_eq!(Method::of_notification(name, era), None, "{name}");
            }
        }
        assert_eq!(Method::of_request("initialize", Era::Modern), None);
        assert_eq!(Method::of_request("server/discover", Era::Legacy), None);
        assert_eq!(
            Method::of_request("notifications/initialized", Era::Legacy),
            None
        );
    }
}
