//! The parts of an answer that are inspected, and the target whose rules apply.

use crate::authorize::Target;

/// The parts of an answer that are inspected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Inspect {
    /// The lists in it.
    pub(crate) lists: bool,
    /// Whether the filter's own tools are added to its list of tools.
    pub(crate) own_tools: bool,
    /// The session, task and request state ids in it.
    pub(crate) handles: bool,
    /// The data in it.
    pub(crate) results: bool,
    /// The server's `instructions`.
    pub(crate) instructions: bool,
    /// The texts of its errors.
    pub(crate) errors: bool,
    /// The server's requests in it, which are bound to the call.
    pub(crate) requests: bool,
    /// The id in it, which is not the client's.
    pub(crate) id: bool,
    /// The caller's credential that the server received.
    pub(crate) credential: bool,
    /// The size of the result, which may be at most so many bytes.
    pub(crate) max_result: Option<usize>,
}

impl Inspect {
    /// Whether the answer depends on the request, so that answers must not be exchanged.
    pub(crate) fn depends_on_request(self, result_of: &ResultOf) -> bool {
        // Without a target all rules apply.
        let has_own_rules = self.results && !matches!(result_of, ResultOf::Nothing);
        has_own_rules || self.lists || self.requests
    }

    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    pub(super) fn is_at_most_errors(self) -> bool {
        let others = Self {
            errors: false,
            credential: false,
            ..self
        };
        others.is_nothing()
    }
}

/// The target whose result an answer is.
#[derive(Debug, Default)]
pub(crate) enum ResultOf {
    /// The policy has no rules for it.
    #[default]
    Nothing,
    /// Unknown: all rules apply.
    Anything,
    Tool(String),
    Prompt(String),
    Resource(String),
}

impl ResultOf {
    pub(crate) fn of(target: Target<'_>) -> Self {
        match target {
            Target::Server => Self::Nothing,
            Target::Tool(name) => Self::Tool(name.to_owned()),
            Target::Prompt(name) => Self::Prompt(name.to_owned()),
            Target::Resource(uri) | Target::ResourceTemplate(uri) => Self::Resource(uri.to_owned()),
        }
    }

    pub(crate) fn target(&self) -> Option<Target<'_>> {
        match self {
            Self::Nothing => Some(Target::Server),
            Self::Anything => None,
            Self::Tool(name) => Some(Target::Tool(name)),
            Self::Prompt(name) => Some(Target::Prompt(name)),
            Self::Resource(uri) => Some(Target::Resource(uri)),
        }
    }
}
