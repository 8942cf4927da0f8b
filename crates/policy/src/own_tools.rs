//! The names of the tools that the filter answers itself.

use crate::{Connection, Policy};

/// A tool that the filter answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnTool {
    /// Lists the caller's connections.
    Connections,
    /// Ends a connection of the caller.
    Disconnect,
    /// Links to the page on which the user chooses an account.
    Switch,
    /// Shows the caller's identity.
    WhoAmI,
}

impl OwnTool {
    /// All tools, in the order of lists.
    pub const ALL: [Self; 4] = [
        Self::WhoAmI,
        Self::Connections,
        Self::Switch,
        Self::Disconnect,
    ];

    /// The tool of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Whether lists have the tool. Without accounts of users there is none to choose.
    pub fn is_listed(self, policy: &Policy) -> bool {
        let mut connections = policy.connections.iter();
        self != Self::Switch || connections.any(Connection::is_connected_by_users)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "auth_connections",
            Self::Disconnect => "auth_disconnect",
            Self::Switch => "auth_switch",
            Self::WhoAmI => "auth_whoami",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients pass a tool's name on to models that take these characters only.
    #[test]
    fn names_are_of_the_characters_that_every_client_takes() {
        for tool in OwnTool::ALL {
            let name = tool.name();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            assert!(name.len() <= 64 && name.bytes().all(is_plain), "{name}");
        }
    }
}
