//! The names of the tools that the filter answers itself.

/// A tool that this filter answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnTool {
    /// Lists the caller's connections.
    Connections,
    /// Ends one of them.
    Disconnect,
    /// Says who is calling.
    WhoAmI,
}

impl OwnTool {
    /// All of them, as lists show them.
    pub const ALL: [Self; 3] = [Self::WhoAmI, Self::Connections, Self::Disconnect];

    /// The tool of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "auth.connections",
            Self::Disconnect => "auth.disconnect",
            Self::WhoAmI => "auth.whoami",
        }
    }
}
