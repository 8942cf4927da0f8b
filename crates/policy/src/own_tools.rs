//! The names of the tools that the filter answers itself.

/// A tool that the filter answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnTool {
    /// Lists the caller's connections.
    Connections,
    /// Ends a connection of the caller.
    Disconnect,
    /// Shows the caller's identity.
    WhoAmI,
}

impl OwnTool {
    /// All tools, in the order of lists.
    pub const ALL: [Self; 3] = [Self::WhoAmI, Self::Connections, Self::Disconnect];

    /// The tool of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "auth_connections",
            Self::Disconnect => "auth_disconnect",
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
