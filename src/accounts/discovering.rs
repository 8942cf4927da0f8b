//! From the user's yes to the resource, where the policy does not say all about the authorization
//! server: what is missing is asked for, and the browser goes on with it.

use url::Url;

use super::connecting;
use super::discovery::{self, Discovered, DiscoveryError, Way};
use super::flow::{Ended, PageContext, Step, Waiting};
use super::refusal::PageRefusal;
use super::registration::{self, Next, Registration};
use super::sealed::Ticket;
use base::effect::{Ask, Told};
use base::http::{Endpoint, HttpResponse};
use policy::{Connection, Discover, Server};

/// A connection whose authorization server is being found out about.
#[derive(Debug)]
pub(super) struct Discovering {
    /// The cookie of the browser, if it has one.
    flow: Option<String>,
    ticket: Ticket,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The resource is asked whose tokens it takes.
    Resource,
    /// The authorization server is asked, in this one of the ways to do so.
    Server(usize),
    /// A client id is being had.
    Client(Discovered, Endpoint, registration::Stage),
}

/// Goes on to the resource, at once where everything is known.
pub(super) fn begin(
    around: PageContext<'_>,
    flow: Option<&str>,
    ticket: Ticket,
    connection: &Connection,
) -> Result<Step, PageRefusal> {
    let discover = match &connection.server {
        Server::Written(_) => return connecting::begin(around, flow, ticket, connection, None),
        Server::Discovered(discover) => discover,
    };
    let flow = flow.map(str::to_owned);
    let stage = match &discover.resource {
        Some(_) => Stage::Resource,
        None => Stage::Server(0),
    };
    let discovering = Discovering {
        flow,
        ticket,
        stage,
    };
    discovering.ask(around, connection, discover)
}

impl Discovering {
    /// Goes on with what was asked for.
    pub(super) fn told(self, around: PageContext<'_>, told: Told) -> Result<Step, PageRefusal> {
        let connection = around.connection(&self.ticket)?;
        let Server::Discovered(discover) = &connection.server else {
            return Err(PageRefusal::Request);
        };
        let user = (self.ticket.issuer.clone(), self.ticket.user.clone());
        let next = self.next(around, connection, discover, told);
        // Whoever runs this server has to know which connection it is.
        next.or_else(|refusal| {
            Ok(Step::Done(Ended {
                user: Some(user),
                connection: Some((connection.name.clone(), None)),
                ..Ended::refused(refusal)
            }))
        })
    }

    fn next(
        self,
        around: PageContext<'_>,
        connection: &Connection,
        discover: &Discover,
        told: Told,
    ) -> Result<Step, PageRefusal> {
        let Self {
            flow,
            ticket,
            stage,
        } = self;
        let stage = match (stage, told) {
            (Stage::Resource, Told::Call(answer)) => {
                discovery::check_resource(connection, answer.as_ref())?;
                Stage::Server(0)
            }
            (Stage::Server(at), Told::Call(answer)) => match document(answer.as_ref())? {
                Some(document) => {
                    let server = (connection.issuer.as_str(), discover);
                    match discovery::read_server(around.policy, server, document)? {
                        (found, Way::Known) => {
                            let (flow, found) = (flow.as_deref(), Some(found));
                            return connecting::begin(around, flow, ticket, connection, found);
                        }
                        (found, Way::Register(place)) => {
                            Stage::Client(found, place, registration::Stage::Look)
                        }
                    }
                }
                None => Stage::Server(at.saturating_add(1)),
            },
            (Stage::Client(found, place, stage), told) => {
                let registration = Registration {
                    around,
                    connection,
                    discovered: &found,
                    place: &place,
                };
                match registration.told(stage, told)? {
                    Next::Ask(stage) => Stage::Client(found, place, stage),
                    Next::Known(client_id) => {
                        let found = Some(found.known_as(client_id));
                        let flow = flow.as_deref();
                        return connecting::begin(around, flow, ticket, connection, found);
                    }
                }
            }
            _ => return Err(PageRefusal::Request),
        };
        let discovering = Self {
            flow,
            ticket,
            stage,
        };
        discovering.ask(around, connection, discover)
    }

    fn ask(
        self,
        around: PageContext<'_>,
        connection: &Connection,
        discover: &Discover,
    ) -> Result<Step, PageRefusal> {
        let ask = match &self.stage {
            Stage::Resource => {
                let place = discover.resource.as_ref().ok_or(PageRefusal::Request)?;
                Ask::Call(place.get(None))
            }
            Stage::Server(at) => {
                let issuer = Url::parse(&connection.issuer).map_err(|_| PageRefusal::Request)?;
                let path = discovery::server_paths(&issuer).into_iter().nth(*at);
                let path = path.ok_or(DiscoveryError::NotOffered)?;
                let place = discover.place(&issuer).ok_or(PageRefusal::Request)?;
                Ask::Call(Endpoint { path, ..place }.get(None))
            }
            Stage::Client(discovered, place, stage) => {
                let registration = Registration {
                    around,
                    connection,
                    discovered,
                    place,
                };
                registration.ask(stage)?
            }
        };
        Ok(Step::Ask(Waiting::Discover(Box::new(self)), ask))
    }
}

/// The document of an answer; `None` if there is none at this place.
fn document(answer: Option<&HttpResponse>) -> Result<Option<&[u8]>, DiscoveryError> {
    let answer = answer.ok_or(DiscoveryError::Unavailable)?;
    match answer.status {
        200 => Ok(Some(&answer.body)),
        400..=499 => Ok(None),
        _ => Err(DiscoveryError::Unavailable),
    }
}
