//! The reasons of refusals.

use super::Challenge::{
    InsufficientScope, InvalidProof, InvalidToken, NewerSignIn, OfferedSignIn, SignIn,
};
use super::Seen::{
    Challenge, DoesNotExist, Error, ErrorByVersion, FailedCall, Nothing, Page, Question, Status,
};
use super::{Refused, Seen};
use crate::decision::Verdict;

// Error codes of JSON-RPC and of MCP 2026-07-28 "Error Codes". Other codes are HTTP's, outside the
// range that JSON-RPC reserves.
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const INTERNAL_ERROR: i64 = -32603;
const HEADER_MISMATCH: i64 = -32020;
const MISSING_CAPABILITY: i64 = -32021;
const UNSUPPORTED_VERSION: i64 = -32022;
/// As servers built with the SDKs say it.
const UNKNOWN_SESSION: i64 = -32001;

const fn blocked(
    source: &'static str,
    seen: Seen,
    text: &'static str,
    next: &'static str,
) -> Refused {
    Refused {
        verdict: Verdict::Blocked,
        source,
        seen,
        text,
        next,
    }
}

const fn needs_review(
    source: &'static str,
    seen: Seen,
    text: &'static str,
    next: &'static str,
) -> Refused {
    Refused {
        verdict: Verdict::NeedsReview,
        source,
        seen,
        text,
        next,
    }
}

const fn failed(source: &'static str, text: &'static str, next: &'static str) -> Refused {
    Refused {
        verdict: Verdict::Failed,
        source,
        seen: Nothing,
        text,
        next,
    }
}

// Each row: name, code, meaning => decision(source of the evidence, what the caller sees, text, next
// action). The text `{error}` stands for the text of the error that was found.
super::reasons! {
/// The reason of a refusal.
Reason: Refused,
"Access tokens" {
    NoToken "no_token"
        "The request has no access token." =>
        needs_review("token", Challenge(401, SignIn), "an access token is required", "sign in");
    TokenMalformed "token_malformed"
        "The access token is not a JWT, or not strict JSON." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again; for opaque tokens give the issuer `introspection`");
    TokenTooLarge "token_too_large"
        "The access token is larger than the filter reads." =>
        blocked("token", Error(431, INVALID_REQUEST),
            "the access token is larger than this server accepts (32 KiB, and 4 KiB for its header); a new \
             sign-in gives no smaller token",
            "let the issuer leave claims out of the token, such as long lists of groups");
    TokenTypeWrong "token_type_wrong"
        "The token is an ID token, an assertion, a logout token or a proof, not an access token." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "send the access token of the sign-in, not another token");
    TokenHeaderNotAccepted "token_header_not_accepted"
        "The token's header has a parameter that would let it choose its key, or that is not known." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again; let the issuer leave parameters as `jwk` and `crit` out");
    TokenAlgorithmNotAccepted "token_algorithm_not_accepted"
        "The token's `alg` is none that the policy accepts of this issuer." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again; if the issuer signs with another algorithm, see its `algorithms`");
    TokenIssuerUntrusted "token_issuer_untrusted"
        "The token's `iss` is no issuer of the policy." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again at an issuer of the policy; compare `iss` with `issuers` exactly");
    TokenKeyUnknown "token_key_unknown"
        "No key of the issuer has the token's `kid` and algorithm." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again; check that the issuer's `jwks` has the key it signs with");
    TokenKeyUnnamed "token_key_unnamed"
        "The token has no `kid`, and several keys of the issuer could have signed it." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again; let the issuer write a `kid` into its tokens");
    TokenSignatureInvalid "token_signature_invalid"
        "The token's signature does not verify with the issuer's key." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again; if all tokens fail, check the issuer's `jwks`");
    TokenAudienceWrong "token_audience_wrong"
        "The token's `aud` names none of the issuer's `audiences`: it was made for another server." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again for this server; compare the token's `aud` with the issuer's `audiences`");
    TokenExpired "token_expired"
        "The token's `exp` is in the past." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again; if new tokens expire at once, compare the clocks");
    TokenNotYetValid "token_not_yet_valid"
        "The token's `nbf` or `iat` is in the future." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "compare the clocks of the issuer and of this machine; see `clock_skew`");
    TokenLifetimeTooLong "token_lifetime_too_long"
        "The token is valid for longer than the policy's `max_lifetime`." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "let the issuer make shorter tokens, or raise its `max_lifetime`");
    TokenClaimInvalid "token_claim_invalid"
        "A claim that the policy needs is missing from the token or has the wrong type." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again; let the issuer add the claim, or change its name under `identity`");
    TokenInactive "token_inactive"
        "The issuer says that the token is not active, or no longer (RFC 7662 section 2.2)." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}", "sign in again");
    TokenUsed "token_used"
        "The token was used before, for a call that may use each token once." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in again for each such call");
    TokenActorNotAccepted "token_actor_not_accepted"
        "The token's `act` names an actor that the policy does not." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in with another client; if the actor may act for users, add it to `actors`");
    TokenDelegated "token_delegated"
        "The token has `act`, and the policy accepts no actors." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in without an actor; if actors may act for users, name them under `actors`");
    TokenNotDelegated "token_not_delegated"
        "The token has no `act`, and the policy requires one." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in through an actor that the policy names");
    KeysUnavailable "keys_unavailable"
        "The issuer's key set could not be fetched, so no token of it can be checked." =>
        blocked("token", Error(503, 503), "{error}",
            "check the cluster and path under the issuer's `jwks`");
    KeySetNotCurrent "key_set_not_current"
        "The token's key is not in the key set, and the key set may not be fetched again yet." =>
        blocked("token", Error(503, 503), "{error}",
            "try again; if it stays, check that the issuer's `jwks` has the key it signs with");
    TokenChecksBusy "token_checks_busy"
        "More tokens with invalid signatures arrived than one worker checks in a second." =>
        blocked("token", Error(503, 503), "{error}",
            "check whether a client makes up tokens, and limit the rate in Envoy");
    IntrospectionUnavailable "introspection_unavailable"
        "The issuer could not be asked about the token, or gave no answer that can be read." =>
        blocked("token", Error(503, 503), "{error}",
            "check the cluster, path and client under the issuer's `introspection`");
    IntrospectionBusy "introspection_busy"
        "More tokens wait for introspection than one worker asks about at a time." =>
        blocked("token", Error(503, 503), "{error}",
            "check whether a client tries tokens at random, and limit the rate in Envoy");
}
"Tokens bound to a key (DPoP)" {
    DpopRequired "dpop_required"
        "The token was sent as a bearer token, and the policy requires proofs." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in for a token that is bound to a key (RFC 9449 section 5)");
    TokenBound "token_bound"
        "The token is bound to a key, and was sent as a bearer token or is bound in a way that no \
         request can prove here." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "send the token with a DPoP proof, if the policy has `dpop`; otherwise sign in without DPoP");
    TokenNotBound "token_not_bound"
        "The token was sent with a proof, and is not bound to a key." =>
        needs_review("token", Challenge(401, InvalidToken), "{error}",
            "sign in for a token that is bound to a key (RFC 9449 section 5)");
    DpopMissing "dpop_missing"
        "The request has no `DPoP` header." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a new proof for each request (RFC 9449 section 4.2)");
    DpopRepeated "dpop_repeated"
        "The request has more than one `DPoP` header." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "send one proof in one header (RFC 9449 section 4.3)");
    DpopMalformed "dpop_malformed"
        "The proof is not a JWT, or not strict JSON." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a new proof for each request (RFC 9449 section 4.2)");
    DpopTypeWrong "dpop_type_wrong"
        "The proof's `typ` is not `dpop+jwt`." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a new proof for each request (RFC 9449 section 4.2)");
    DpopHeaderNotAccepted "dpop_header_not_accepted"
        "The proof's header has a parameter that is not known." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a proof whose header has `typ`, `alg` and `jwk` only (RFC 9449 section 4.2)");
    DpopAlgorithmNotAccepted "dpop_algorithm_not_accepted"
        "The proof is not signed with one of the accepted algorithms." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "sign proofs with an algorithm of the challenge's `algs`");
    DpopKeyInvalid "dpop_key_invalid"
        "The proof's `jwk` is missing, broken, or more than a public key." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "put the public key alone into `jwk` (RFC 9449 section 4.2)");
    DpopSignatureInvalid "dpop_signature_invalid"
        "The proof's signature does not verify." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "sign the proof with the key in its `jwk` (RFC 9449 section 4.2)");
    DpopKeyWrong "dpop_key_wrong"
        "The proof was made with another key than the token is bound to." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make the proof with the key of the sign-in; if the client did, the token may be stolen");
    DpopClaimInvalid "dpop_claim_invalid"
        "A claim of the proof is missing or has the wrong type." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a new proof for each request (RFC 9449 section 4.2)");
    DpopMethodWrong "dpop_method_wrong"
        "The proof was made for another HTTP method." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a new proof for each request (RFC 9449 section 4.2)");
    DpopUrlWrong "dpop_url_wrong"
        "The proof was made for another URL." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a new proof for each request; its `htu` is the policy's `resource`");
    DpopTokenWrong "dpop_token_wrong"
        "The proof was made for another access token." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a new proof after each new token (RFC 9449 section 7)");
    DpopNotFresh "dpop_not_fresh"
        "The proof was made too long ago, or in the future." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a new proof for each request, and compare the clocks");
    DpopReplayed "dpop_replayed"
        "The proof was used before." =>
        needs_review("token", Challenge(401, InvalidProof), "{error}",
            "make a new proof for each request (RFC 9449 section 4.2)");
}
"Requests" {
    NotFound "not_found"
        "The path is neither an MCP server's nor that of a page." =>
        blocked("request", Error(404, INVALID_REQUEST), "no MCP server at this path",
            "compare the path and the host with the policy's `resource`");
    HttpMethodNotAllowed "http_method_not_allowed"
        "The HTTP method is none that MCP, or the page, uses." =>
        blocked("request", Error(405, INVALID_REQUEST), "MCP uses POST, GET and DELETE",
            "send MCP messages by POST; on a page, follow its links and forms");
    QueryNotAccepted "query_not_accepted"
        "The URL has a query, which the server could take for a part of the request." =>
        blocked("request", Error(400, INVALID_REQUEST), "the URL must not have a query",
            "take the query out of the server's URL in the client");
    UpgradeNotAccepted "upgrade_not_accepted"
        "The request asks for another protocol on the same connection." =>
        blocked("request", Error(400, INVALID_REQUEST), "protocol upgrades are not accepted",
            "use a client for Streamable HTTP");
    OriginNotAllowed "origin_not_allowed"
        "The request or the form comes from a web page whose origin is not allowed." =>
        blocked("request", Error(403, 403), "this origin may not call the server",
            "if the page may call the server, add its origin to `origins`");
    HostNotAllowed "host_not_allowed"
        "The `Host` header names neither this machine nor the server, as in DNS rebinding." =>
        blocked("request", Error(403, 403), "the Host header names another server",
            "connect to localhost, or to the host of `resource`");
    NotLocal "not_local"
        "A `local` policy got a request from another machine or through another proxy." =>
        blocked("request", Error(403, 403), "requests are taken from this machine only",
            "connect on the machine itself, to a listener at 127.0.0.1 or ::1 with no proxy before it; \
             for callers elsewhere put `issuers` in the place of `local`");
    HeaderMalformed "header_malformed"
        "A header that the filter reads is repeated or is not visible ASCII." =>
        blocked("request", Error(400, INVALID_REQUEST), "{error}",
            "let the client, or the proxy before this one, send the header once and in ASCII");
    ContentTypeNotJson "content_type_not_json"
        "The `Content-Type` of a POST is not `application/json`." =>
        blocked("request", Error(415, INVALID_REQUEST), "the content type must be application/json",
            "let the client send `Content-Type: application/json`");
    BodyCompressed "body_compressed"
        "The request has a `Content-Encoding`." =>
        blocked("request", Error(415, INVALID_REQUEST), "the body must not be compressed",
            "turn the compression of requests off in the client or the proxy before this one");
    BodyTooLarge "body_too_large"
        "The body is larger than `max_body`." =>
        blocked("request", Error(413, INVALID_REQUEST), "the body is too large",
            "raise `max_body`, and Envoy's buffer limit with it");
    BodyMissingOrUnexpected "body_missing_or_unexpected"
        "A POST has no body, or a GET or DELETE has one." =>
        blocked("request", Error(400, INVALID_REQUEST), "a POST has a body, GET and DELETE have none",
            "send the message in the body of a POST");
    BodyNotJson "body_not_json"
        "The body is not strict JSON: duplicate keys, too deep, or not JSON at all." =>
        blocked("request", Error(400, PARSE_ERROR), "{error}",
            "let the client send strict JSON without duplicate keys");
    BatchNotAccepted "batch_not_accepted"
        "The body is an array of messages." =>
        blocked("request", Error(400, INVALID_REQUEST), "{error}",
            "send each message in a request of its own");
    MessageMalformed "message_malformed"
        "The body is JSON, and not a JSON-RPC message that can be read in one way only." =>
        blocked("request", Error(400, INVALID_REQUEST), "{error}",
            "update the client, or report it to its maker");
    HeaderMismatch "header_mismatch"
        "An `Mcp-*` header is missing or does not match the body (MCP 2026-07-28)." =>
        blocked("request", Error(400, HEADER_MISMATCH), "{error}",
            "update the client, or look for a proxy that changes headers");
    ProtocolMetaMissing "protocol_meta_missing"
        "The header says 2026-07-28, and `_meta` has no protocol version." =>
        blocked("request", Error(400, INVALID_PARAMS), "{error}",
            "update the client: 2026-07-28 has the version in `_meta` too");
    ProtocolVersionUnsupported "protocol_version_unsupported"
        "The filter does not know the protocol version, so it cannot check the message." =>
        blocked("request", Error(400, UNSUPPORTED_VERSION), "{error}",
            "let the client use a version of the error's `supported`, or update the filter");
    UnknownMethod "unknown_method"
        "The MCP method is none that the filter knows for this protocol version." =>
        blocked("request", ErrorByVersion(404, 200, METHOD_NOT_FOUND), "unknown method",
            "use a method of the protocol version; if the method is a new one of MCP, update the filter");
    MissingParameter "missing_parameter"
        "A parameter that the method needs is missing." =>
        blocked("request", Error(200, INVALID_PARAMS), "`params.{parameter}` is missing",
            "update the client, or report it to its maker");
    TasksNotDeclared "tasks_not_declared"
        "The client asks about a task, and did not declare the tasks extension." =>
        blocked("request", Error(400, MISSING_CAPABILITY), "the client did not declare the tasks extension",
            "use a client that declares the extension it uses");
    ClientGone "client_gone"
        "The client left before anything was decided." =>
        blocked("request", Nothing, "the client left before a decision",
            "nothing, if it is rare; otherwise compare the client's timeout with the times of key sets, \
             introspection, token exchange and store");
}
"Rules of the policy" {
    NoRole "no_role"
        "No role of the caller allows what was asked for." =>
        blocked("roles", DoesNotExist, "no role of the caller allows it",
            "let a role of the caller allow it");
    Denied "denied"
        "A rule of the policy denies it." =>
        blocked("{rule}", DoesNotExist, "`{pattern}` denies it",
            "if it is meant to be, change {rule}");
    ConditionNotMet "condition_not_met"
        "A condition (`when`) is not true for this caller and these arguments, or could not be \
         evaluated." =>
        blocked("{rule}", FailedCall, "{error}", "see {rule}");
    ConditionTooCostly "condition_too_costly"
        "A condition (`when`) needs more steps or memory with these arguments than one evaluation has." =>
        blocked("{rule}", FailedCall, "{error}",
            "send fewer or shorter arguments, or make {rule} simpler");
    ScopeMissing "scope_missing"
        "The token lacks a scope that the tool, prompt or resource needs." =>
        needs_review("token", Challenge(403, InsufficientScope), "needs scope {scopes}",
            "sign in with scope {scopes}");
    SignInNeeded "sign_in_needed"
        "An anonymous caller wants to use what needs a sign-in." =>
        needs_review("token", Challenge(401, OfferedSignIn), "sign in to use this", "sign in");
    SignInTooOld "sign_in_too_old"
        "The caller signed in longer ago than `max_token_age` allows." =>
        needs_review("token", Challenge(401, NewerSignIn), "needs a sign-in at most {max_age} s ago",
            "sign in again");
    LookupNotOwned "lookup_not_owned"
        "The record that the call names belongs to another owner than the caller, or to several: the filter \
         looked it up before the call." =>
        blocked("{rule}", FailedCall, "{error}",
            "if it should be the caller's, see `field` and `is` of {rule}");
    LookupNoOwner "lookup_no_owner"
        "The record that the filter looked up names no owner, or there is no such record." =>
        blocked("{rule}", FailedCall, "{error}",
            "if the record exists, see `field` of {rule}, and what its look-up answers");
    LookupError "lookup_error"
        "The server answered the look-up of a record with an error. The record may not exist." =>
        blocked("{rule}", FailedCall, "{error}",
            "if the record exists, see `lookup` of {rule}: the tool and its arguments");
    LookupStatus "lookup_status"
        "The server answered the look-up of a record with an HTTP error." =>
        blocked("{rule}", FailedCall, "{error}",
            "see `upstream` for the credential, the path and the authority of look-ups");
    LookupTimedOut "lookup_timed_out"
        "The server did not answer the look-up of a record in time." =>
        blocked("{rule}", FailedCall, "{error}", "check the server, or raise `timeout` of {rule}");
    LookupUnavailable "lookup_unavailable"
        "The server did not answer the look-up of a record." =>
        blocked("{rule}", FailedCall, "{error}", "check the server, and the cluster under `upstream`");
    LookupTooLarge "lookup_too_large"
        "The server's answer to the look-up of a record is larger than 256 KiB." =>
        blocked("{rule}", FailedCall, "{error}", "let {rule} look up with a tool that answers one record");
    LookupUnreadable "lookup_unreadable"
        "The server's answer to the look-up of a record cannot be read in one way only, or is not its answer." =>
        blocked("{rule}", FailedCall, "{error}",
            "see what the tool of {rule} answers: one result in JSON, or an event stream that ends");
    LookupNotPossible "lookup_not_possible"
        "The look-up of a record cannot be made with these arguments." =>
        blocked("{rule}", FailedCall, "{error}", "see {rule}");
    LookupNested "lookup_nested"
        "The request is itself the look-up of a filter, and would need another one." =>
        blocked("{rule}", FailedCall, "{error}",
            "let the cluster under `upstream` lead to the server, and not to a proxy with this filter");
    LookupBusy "lookup_busy"
        "More look-ups run than one caller, or one worker, may have." =>
        blocked("{rule}", Error(503, 503), "{error}",
            "try again; let the server answer look-ups faster, or give {rule} a `cache`");
    RecordChanged "record_changed"
        "The record is the caller's, and an argument under `expect` has another value than the record that the \
         filter looked up." =>
        blocked("{rule}", Error(200, INVALID_PARAMS), "{error}",
            "read the record again; see `expect` of {rule}");
    RecordNotNamed "record_not_named"
        "The call does not name the record whose owner has to be looked up, or names too many." =>
        blocked("{rule}", Error(200, INVALID_PARAMS), "{error}",
            "name the record as the tool's schema does; see {rule}");
    ResourceNotOwned "resource_not_owned"
        "The URI of the resource names another owner than the caller, or no owner." =>
        blocked("{rule}", DoesNotExist, "the URI {error}", "see {rule}");
    UriAmbiguous "uri_ambiguous"
        "The URI has dot segments or encoded separators, so servers could read it differently." =>
        blocked("request", DoesNotExist, "the URI has dot segments or hidden separators",
            "ask for the plain URI, as the server lists it");
    UriParameterNotOwned "uri_parameter_not_owned"
        "A parameter of the URI names another user or organization than the caller, or has a name that the \
         policy refuses as an argument." =>
        blocked("arguments", DoesNotExist, "the URI has a value of `{argument}` that is not the caller's",
            "leave `{argument}` out of the URI; if it is data, give the policy `arguments: {{argument}: keep}`");
    PinBroken "pin_broken"
        "When this worker last saw the tool listed, it was not what its pin says." =>
        blocked("pins", DoesNotExist, "the tool is not what it was when it was pinned",
            "read what the server lists now; if it may stay, replace the pin by what `mcp-auth pin` prints; \
             with `first_seen`, pin it or restart Envoy");
    ViewAsNotAllowed "view_as_not_allowed"
        "The caller wants to act as a role or test user that no role of the caller's may." =>
        blocked("view_as", Error(403, 403), "no role of the caller allows it to act as this",
            "name it under `view_as` of a role of the caller, or send the request without it");
    TestUserCredential "test_user_credential"
        "The caller acts as a test user, and the server would get the caller's own token or linked account." =>
        blocked("view_as", Error(403, 403), "the policy gives this test user no token and no account",
            "name the connection under its `connections`, or set `own_token`, in `view_as.users`; or send the \
             request as yourself");
}
"Arguments" {
    ArgumentRejected "argument_rejected"
        "The policy rejects an argument of this name." =>
        blocked("arguments", Error(200, INVALID_PARAMS), "{error}",
            "if it is data here, give the tool `arguments: {{argument}: keep}`");
    ArgumentNotOwned "argument_not_owned"
        "The argument names another owner than the caller, or no owner." =>
        blocked("arguments", Error(200, INVALID_PARAMS), "{error}",
            "if it should be the caller's, see the `owner` of `{argument}` under `arguments`");
    ArgumentOwnerUnknown "argument_owner_unknown"
        "The argument has to name the caller's own value, and the token does not have that value." =>
        blocked("arguments", Error(200, INVALID_PARAMS), "{error}",
            "map the claim under the issuer's `identity`");
    ArgumentClaimMissing "argument_claim_missing"
        "The argument is set from the token, and the token does not have the value." =>
        blocked("arguments", Error(200, INVALID_PARAMS), "{error}",
            "map the claim under the issuer's `identity`");
    ArgumentInString "argument_in_string"
        "An identity argument stands in JSON inside a string, where it cannot be replaced." =>
        blocked("arguments", Error(200, INVALID_PARAMS), "{error}",
            "send the arguments as JSON, not as text that holds JSON");
    ArgumentMisspelled "argument_misspelled"
        "An argument has a name that a condition (`when`) reads, in another spelling: a server could read \
         it in the place of the one that was judged." =>
        blocked("{rule}", Error(200, INVALID_PARAMS), "{error}",
            "spell the arguments exactly as the tool's schema does; see {rule}");
    ArgumentNotSingle "argument_not_single"
        "An identity argument is an object or an array, which one value cannot replace." =>
        blocked("arguments", Error(200, INVALID_PARAMS), "{error}",
            "send one value, or leave the argument out: the filter sets it");
}
"Questions to the user" {
    ArgumentsTooLongToShow "arguments_too_long_to_show"
        "The user has to agree to the call, and its arguments or name are too long to be shown whole." =>
        blocked("confirm", Error(200, INVALID_PARAMS),
            "the arguments are too long to be shown to the user, who has to agree to this call",
            "call the tool with shorter or fewer arguments");
    ConfirmationNeeded "confirmation_needed"
        "The policy wants the user to agree to this call first." =>
        needs_review("user", Question, "the user has to agree to this call",
            "agree to it in the client, or open the link and agree there");
    CallDeclined "call_declined"
        "The user did not agree to this call." =>
        blocked("user", Error(200, 403), "the user did not agree to this call",
            "nothing: the user's answer is final for this call");
    ApprovalNeeded "approval_needed"
        "The policy wants another person to allow this call first. That person has not answered yet." =>
        needs_review("approval", FailedCall,
            "the call waits for approval: another person of the organization, with the role `{role}`, has to \
             allow it at {url} within {minutes} minutes; then send the same call again, with exactly the same \
             arguments",
            "a person with the role `{role}` answers at {url}; then send the same call again");
    ApprovalDenied "approval_denied"
        "Another person did not allow this call." =>
        blocked("approval", FailedCall,
            "the call was not approved: the person who was asked did not allow it, and it was not made",
            "nothing: the answer is final for this call; another call is asked about anew");
    ApprovalOrganizationMissing "approval_organization_missing"
        "Another person has to allow the call, and the caller's token does not name its organization." =>
        blocked("token", FailedCall,
            "the call needs the approval of another person of your organization, and your token names none",
            "let the issuer write the claim of `identity.organization`");
    ApprovalsFull "approvals_full"
        "The caller has 8 calls that wait for another person, or its organization has 64." =>
        needs_review("approval", FailedCall,
            "too many calls wait for approval already; try again when they were answered",
            "let the people who are asked answer the open calls");
    ConfirmationUnsupported "confirmation_unsupported"
        "The user has to agree, clients of this protocol version cannot be asked, and there is no page \
         to ask on." =>
        blocked("request", Error(200, 403),
            "the user has to agree to this call, and clients of this protocol version cannot be asked",
            "give the caller's issuer `sign_in` in the policy, without `hold: buffer_filter`: then its \
             users are asked on a page; or use a client of 2026-07-28 that declares `elicitation`");
    ElicitationNotDeclared "elicitation_not_declared"
        "The user has to agree, the client does not declare `elicitation`, and there is no page to ask \
         on." =>
        blocked("request", Error(400, MISSING_CAPABILITY),
            "the client cannot ask its user to agree to this call",
            "give the caller's issuer `sign_in` in the policy, without `hold: buffer_filter`: then its \
             users are asked on a page; or use a client of 2026-07-28 that declares `elicitation`");
    UnknownRequestState "unknown_request_state"
        "The request state is not this caller's for this request, or has expired." =>
        blocked("request", Error(200, INVALID_PARAMS),
            "unknown request state; send the request without it", "send the request again");
}
"Sessions, tasks and streams" {
    UnknownSession "unknown_session"
        "The session id is not this caller's, or was not made by this filter." =>
        blocked("request", Error(404, UNKNOWN_SESSION), "unknown session; initialize a new one",
            "initialize a new session");
    UnknownTask "unknown_task"
        "The task id is not this caller's, or has expired." =>
        blocked("request", Error(200, INVALID_PARAMS), "unknown task",
            "call the tool again for a new task");
    UnknownEvent "unknown_event"
        "The `Last-Event-ID` is not this caller's." =>
        blocked("request", Error(400, INVALID_REQUEST), "unknown event; send the request again",
            "send the request again");
}
"The server and its answers" {
    ResultNotOwned "result_not_owned"
        "The result belongs to another owner than the caller, or does not say its owner." =>
        blocked("response", Error(200, 403), "the result is not the caller's",
            "if it should be the caller's, see `owner` under `results`: the field, and what happens \
             where it is `missing`");
    UpstreamAnswerUncheckable "upstream_answer_uncheckable"
        "The server's answer cannot be read in one way only, or is not what the request asks for." =>
        blocked("response", Error(502, INTERNAL_ERROR), "the server's answer cannot be checked",
            "look at what the server answers: strict JSON or an event stream, not compressed");
    ResultTooLarge "result_too_large"
        "The result is larger than `max_result` of its tool, prompt or resource." =>
        blocked("response", FailedCall,
            "the result has {size} bytes, and at most {limit} are passed on; ask for less: fewer items, fewer \
             fields, or one page at a time",
            "ask for a smaller part, or raise `max_result`");
    UpstreamAnswerTooLarge "upstream_answer_too_large"
        "The server's answer, or an event of its event stream, has to be read because of a rule, and is larger \
         than `max_response`." =>
        blocked("response", Error(200, INTERNAL_ERROR),
            "the server's answer is larger than {limit} bytes, the limit of `max_response` in the policy of the \
             proxy; ask for a smaller part",
            "let the server answer in pages, or raise `max_response`, and with it Envoy's \
             `per_connection_buffer_limit_bytes`, which `mcp-auth check` names");
    UpstreamAnswerTooManyValues "upstream_answer_too_many_values"
        "The server's answer has more than 1,000,000 JSON values, in its texts too." =>
        blocked("response", Error(200, INTERNAL_ERROR),
            "the server's answer has more than 1000000 values, the limit of the proxy; ask for a smaller part",
            "let the server answer in pages, or lower `max_response`");
    UpstreamAnswerOverBuffer "upstream_answer_over_buffer"
        "Envoy answered with an error 500 of its own: the server's answer is larger than Envoy buffers for the \
         filter, and not larger than `max_response`." =>
        failed("proxy", "the server's answer is larger than Envoy's buffer",
            "raise Envoy's `per_connection_buffer_limit_bytes` to the number that `mcp-auth check` names, or \
             lower `max_response`");
    UpstreamChallenged "upstream_challenged"
        "The server answered 401, 403 or 407 with a challenge: it expects a credential that it did not \
         get. The challenge could name another authorization server, so it does not pass." =>
        blocked("response", Error(502, INTERNAL_ERROR), "the server does not accept the credential of the proxy",
            "give the server a credential it accepts under `upstream` (`static`, `exchange`, or `pass` for \
             the client's own token), or turn its own authorization off");
    UpstreamRedirected "upstream_redirected"
        "The server answered with a redirect, whose URL could be internal or another server's, so it \
         does not pass." =>
        blocked("response", Error(502, INTERNAL_ERROR), "the server redirects the request to another URL",
            "compare the path that Envoy sends with the server's, also its slash at the end and its scheme, \
             and rewrite it in the route");
    HttpSseUnsupported "http_sse_unsupported"
        "The server speaks HTTP+SSE of 2024-11-05, whose answers come on another connection." =>
        blocked("request", Error(502, INTERNAL_ERROR),
            "the server speaks HTTP+SSE of 2024-11-05, which is not supported; let it use Streamable \
             HTTP",
            "let the server use Streamable HTTP, or route to the path where it does");
    ExchangeDenied "exchange_denied"
        "The authorization server gives this caller no token for the server." =>
        blocked("upstream", Error(403, 403), "{error}",
            "let the authorization server admit the caller, and the `audience`, `resource` and `scopes` \
             under `upstream.exchange`");
    ExchangeTokenRefused "exchange_token_refused"
        "The authorization server does not accept the caller's token any more." =>
        needs_review("upstream", Challenge(401, InvalidToken), "{error}", "sign in again");
    ExchangeClientRefused "exchange_client_refused"
        "The authorization server does not let the filter exchange tokens." =>
        blocked("upstream", Error(502, INTERNAL_ERROR), "{error}",
            "see what the authorization server lets the client under `upstream.exchange` do, and that it \
             gives Bearer tokens");
    ExchangeAnswerUnreadable "exchange_answer_unreadable"
        "The authorization server's answer to the token exchange cannot be used." =>
        blocked("upstream", Error(502, INTERNAL_ERROR), "{error}",
            "see what the authorization server lets the client under `upstream.exchange` do, and that it \
             gives Bearer tokens");
    ExchangeBusy "exchange_busy"
        "More tokens wait for the exchange than one worker exchanges at a time." =>
        blocked("upstream", Error(503, 503), "{error}",
            "check the cluster and path under `upstream.exchange`");
    ExchangeUnavailable "exchange_unavailable"
        "The authorization server that exchanges tokens did not answer." =>
        blocked("upstream", Error(503, 503), "{error}",
            "check the cluster and path under `upstream.exchange`");
}
"Decisions of a server outside" {
    DecisionDenied "decision_denied"
        "The decision point does not allow the request." =>
        blocked("decision_point", FailedCall, "{by} does not allow it{why}",
            "see the policy of the decision point under `decide`");
    DecisionArgumentMissing "decision_argument_missing"
        "An argument that the question to the decision point needs is missing, or has no single value." =>
        blocked("arguments", FailedCall, "argument `{argument}` must be there, with a single value",
            "call the tool with this argument; `decide` in the policy names it");
    DecisionQuestionTooLarge "decision_question_too_large"
        "The question to the decision point would be too large." =>
        blocked("arguments", FailedCall, "the arguments are too large to be decided about",
            "send smaller arguments, or name fewer of them under `decide`");
    DecisionBusy "decision_busy"
        "More questions wait for the decision point than one worker asks at a time." =>
        blocked("decision_point", Error(503, 503), "{error}",
            "make the decision point faster, or let `decide` remember its answers with `cache`");
    DecisionTimedOut "decision_timed_out"
        "The decision point did not answer in time." =>
        blocked("decision_point", Error(503, 503), "{error}",
            "make the decision point faster, or raise its `timeout` under `decide`");
    DecisionUnavailable "decision_unavailable"
        "The decision point did not answer." =>
        blocked("decision_point", Error(503, 503), "{error}",
            "check the cluster and path under `decide`, and that the decision point runs");
    DecisionUnreadable "decision_unreadable"
        "The decision point answered, and its answer is not understood." =>
        blocked("decision_point", Error(503, 503), "{error}",
            "check the path under `decide`, and what the decision point answers there");
    DecisionCredentialRefused "decision_credential_refused"
        "The decision point does not accept the filter's credential." =>
        blocked("decision_point", Error(503, 503), "{error}",
            "check `credential_env` under `decide`");
}
"Accounts behind a tool" {
    AccountNotConnected "account_not_connected"
        "The tool works with an account that the user has not connected." =>
        needs_review("user", Question, "the user has not connected `{connection}`",
            "open the link, and connect the account");
    AccountNotAccepted "account_not_accepted"
        "The server answered 401 to the token of the user's account. The account has ended, and the user is \
         asked to connect it again." =>
        needs_review("upstream", Question, "the server no longer accepts the account `{connection}`",
            "open the link, and connect the account again");
    AccountRefusedAgain "account_refused_again"
        "The server answered 401 to the token of an account that the user connected less than five minutes \
         before, because the server had refused the one before. The account has ended." =>
        needs_review("upstream", Question,
            "the server refused the account `{connection}` again, at once after it was connected again",
            "see whether the server accepts tokens of the connection: compare its `resource` and `scopes` with \
             what the server expects");
    AccountReplaced "account_replaced"
        "The server answered 401 to the token of the user's account, which was refreshed or connected again \
         during the call, or has just expired." =>
        blocked("upstream", Error(503, 503), "the account's token changed during the call; call again",
            "if it repeats, compare the clocks of the proxy and of the resource");
    AccountNotRefreshed "account_not_refreshed"
        "The account's token has ended, and the resource's authorization server did not answer with \
         another." =>
        blocked("request", Error(503, 503),
            "the account's token has ended, and the resource gave no other",
            "check the cluster and path under the connection's `token`; or connect the account again");
    NoCredentialForCaller "no_credential_for_caller"
        "An administrator sets the credentials of this connection, and none is for the caller's organization and \
         roles." =>
        blocked("request", Error(403, 403),
            "no credential of `{connection}` is for this caller",
            "add one for the caller's organization or role under `connections.{connection}.credentials`");
    ConversationClaimMissing "conversation_claim_missing"
        "Accounts are kept by conversation, and the token does not name the conversation." =>
        blocked("request", Error(403, 403),
            "the token does not say which conversation it is used in",
            "see `vault.conversation`: the claim it names has to be in the token");
}
"Pages" {
    PageRequestIncomplete "page_request_incomplete"
        "The request of a page lacks something, or cannot be read in one way only." =>
        blocked("request", Page(400), "the page's request is incomplete or malformed",
            "open the link again");
    AccountGone "account_gone"
        "The account that the user chose on a page is not connected any more." =>
        blocked("request", Page(404), "the account is not connected any more",
            "open the link again, and connect it");
    CredentialRefused "credential_refused"
        "The resource did not accept the key or password that the user typed." =>
        blocked("request", Page(403), "the resource did not accept the key or password",
            "type it again; if it is right, see the connection's `check` and `apply`");
    CredentialUnchecked "credential_unchecked"
        "The resource could not be asked about the key or password that the user typed." =>
        blocked("request", Page(503), "the resource did not answer the check",
            "see the cluster and path of the connection's `check`");
    CredentialUnusable "credential_unusable"
        "The key or password that the user typed is empty, too long, or has characters that cannot be sent." =>
        blocked("request", Page(400), "the key or password cannot be sent",
            "type it without spaces and line breaks around it");
    LinkInvalid "link_invalid"
        "The link was not made by this filter, or has expired." =>
        blocked("request", Page(400), "the link is not valid, or has expired",
            "call the tool again for a new link");
    OtherUser "other_user"
        "The user who signed in is not the user the link was made for." =>
        blocked("request", Page(403), "the link is for another user",
            "if it repeats, check whether links are passed on to other users");
    OtherBrowser "other_browser"
        "The browser that came back is not the browser that was sent away." =>
        blocked("request", Page(403), "the answer came to another browser than the one that asked",
            "open the link again, in one browser with cookies");
    NotSignedIn "not_signed_in"
        "The user of the browser is not signed in, or no longer." =>
        blocked("request", Page(403), "the user of the browser is not signed in any more",
            "open the link again");
    PageSignInTooOld "page_sign_in_too_old"
        "The user signed in too long ago for the page, or the issuer does not say when (`auth_time`)." =>
        blocked("user", Page(403), "the sign-in is too old, or its time is not known",
            "open the link again; if it repeats, the issuer ignores `max_age`: check its settings");
    PageSignInTooWeak "page_sign_in_too_weak"
        "The sign-in of the user is not one that the policy accepts for the page (`acr`)." =>
        blocked("user", Page(403), "the sign-in has no accepted `acr`",
            "sign in with a stronger method; if it repeats, compare `acr` in the policy with the issuer's values");
    FormInvalid "form_invalid"
        "The form was not made for this browser, or is too old." =>
        blocked("request", Page(403), "the form is not this browser's, or is too old",
            "open the link again");
    StateInvalid "state_invalid"
        "The `state` was not made by this filter, or is too old." =>
        blocked("request", Page(400), "the state is not this filter's, or is too old",
            "open the link again");
    StateUsed "state_used"
        "The `state` was used before." =>
        blocked("request", Page(400), "the answer was used before", "open the link again");
    ConversationEnded "conversation_ended"
        "The session or sign-in for which an account was to be linked ended before the browser came back." =>
        blocked("request", Page(410), "the conversation ended; nothing was stored, and the token was revoked",
            "ask the assistant for a new link");
    TooManyTries "too_many_tries"
        "Too many authorization requests were sent, or codes came back, for a link or for a user's links." =>
        blocked("request", Page(429), "too many tries in ten minutes",
            "wait ten minutes and open a new link; if the user did not try, another person has the link");
    IssuerMismatch "issuer_mismatch"
        "The answer came from another authorization server than the one that was asked (RFC 9207)." =>
        blocked("request", Page(400), "the answer came from another authorization server",
            "compare the `iss` it sends with the policy; if they are equal, this may be an attack");
    AuthorizationFailed "authorization_failed"
        "The authorization server sent the browser back with an error." =>
        blocked("request", Page(400), "the authorization server answered with an error",
            "see the authorization server's log; check the client's scopes and redirect URIs there");
    ConnectionDeclined "connection_declined"
        "The user, or the authorization server, did not allow the connection." =>
        blocked("request", Page(403), "the connection was not allowed",
            "nothing, if the user meant it; the link can be opened again");
    ConfirmationDeclined "confirmation_declined"
        "The user was asked on a page, and did not agree to the call." =>
        blocked("request", Page(303), "the user did not agree to the call",
            "nothing: the user's answer is final for this call");
    CallAlreadyMade "call_already_made"
        "The user wants to take a yes back, and the call was made already." =>
        blocked("request", Page(409), "the call was made already",
            "undo what the call did at the server, if it has a way");
    QuestionClosed "question_closed"
        "The question on the page was answered, or was not answered in time." =>
        blocked("request", Page(410), "the question is answered, or its time is over",
            "call the tool again for a new link");
    ApproverNotAllowed "approver_not_allowed"
        "The user who signed in may not answer: without the role, of another organization, or with another \
         identity (`view_as`)." =>
        blocked("token", Page(403), "the user who signed in may not approve calls, or not this one",
            "sign in as a person with the role of `confirm.by`; the ID token must have the claims of \
             `identity.roles` and `identity.organization`");
    OwnCall "own_call"
        "The user who signed in is the caller, who never approves an own call." =>
        blocked("request", Page(403), "the caller cannot approve its own call",
            "let another person approve it");
    CallDenied "call_denied"
        "A person was asked about a call of another user, and did not allow it." =>
        blocked("request", Page(303), "the call of another user was not allowed",
            "nothing: the caller hears of it at the next try");
    IdTokenInvalid "id_token_invalid"
        "The ID token is not the answer to this sign-in." =>
        blocked("request", Page(502), "{error}",
            "check the issuer's `sign_in`: client id, `jwks` and endpoints");
    CodeRefused "code_refused"
        "The authorization server did not redeem the code." =>
        blocked("request", Page(502), "{error}",
            "open the link again; compare the client's redirect URI with the one registered");
    ClientRefused "client_refused"
        "The authorization server does not accept the filter as a client." =>
        blocked("request", Page(502), "{error}", "check the client id and secret under the connection");
    TokenAnswerUnreadable "token_answer_unreadable"
        "The token endpoint's answer cannot be read." =>
        blocked("request", Page(502), "{error}",
            "check the path under `token`, and what the authorization server answers there");
    TokenEndpointUnavailable "token_endpoint_unavailable"
        "The token endpoint did not answer." =>
        blocked("request", Page(502), "{error}", "check the cluster and path under `token`");
    AccountUnknown "account_unknown"
        "The resource did not name the account of the token." =>
        blocked("request", Page(502), "the account could not be read",
            "check `account` under the connection: its cluster, path and field");
    AccountUnavailable "account_unavailable"
        "The resource did not say in time whose account the token is for." =>
        blocked("request", Page(503), "the resource did not name the account in time",
            "check the cluster under the connection's `account`, and that the resource answers there");
    MetadataUnavailable "metadata_unavailable"
        "The resource or its authorization server did not answer with its metadata." =>
        blocked("request", Page(503), "{error}", "check the clusters under the connection's `discover`");
    ResourceMetadataUnusable "resource_metadata_unusable"
        "The resource's metadata cannot be read, or names another resource or issuer (RFC 9728)." =>
        blocked("request", Page(502), "{error}",
            "compare the resource's metadata with the connection in the policy");
    ServerMetadataUnusable "server_metadata_unusable"
        "The authorization server's metadata is missing, cannot be read, or lacks what the filter needs \
         (RFC 8414)." =>
        blocked("request", Page(502), "{error}",
            "compare the authorization server's metadata with the connection in the policy");
    NoClientId "no_client_id"
        "The authorization server offers no way to a client id without a secret." =>
        blocked("request", Page(502), "{error}",
            "register a client by hand, and write its id and endpoints into the policy");
    RegistrationRefused "registration_refused"
        "The authorization server does not register the filter as a client (RFC 7591)." =>
        blocked("request", Page(502), "{error}",
            "let the authorization server register it, or write a client id into the policy");
    RegistrationUnusable "registration_unusable"
        "The authorization server's answer to the registration is not what was asked for." =>
        blocked("request", Page(502), "{error}",
            "register a client by hand, and write its id and endpoints into the policy");
    RegistrationUnavailable "registration_unavailable"
        "The authorization server did not answer to the registration." =>
        blocked("request", Page(503), "{error}", "check the clusters under the connection's `discover`");
    LogoutTokenInvalid "logout_token_invalid"
        "The logout token is not valid, or its issuer has no `back_channel_logout`." =>
        blocked("request", Status(400), "{error}",
            "check the issuer's `back_channel_logout`, and the client id the token is for");
    LogoutTokenUnchecked "logout_token_unchecked"
        "The logout token could not be checked, because the issuer's key set is not available." =>
        blocked("request", Status(503), "{error}",
            "check the cluster and path under the issuer's `jwks`; the issuer may send it again");
    LogoutTokenUsed "logout_token_used"
        "The logout token was used before." =>
        blocked("request", Status(400), "the logout token was used before",
            "nothing: the user's sign-ins ended the first time");
}
"Envoy, store and keys" {
    AnsweredByProxy "answered_by_proxy"
        "Envoy itself ended the request before a decision: a timeout or a limit of its own." =>
        blocked("proxy", Nothing, "Envoy answered the request itself",
            "see the response code details in Envoy's access log");
    ProxyBodyTooLarge "proxy_body_too_large"
        "Envoy refused the request with a 413: its body is larger than Envoy holds." =>
        blocked("proxy", Error(413, INVALID_REQUEST),
            "the request body is larger than the proxy accepts; send less in one request",
            "raise `per_connection_buffer_limit_bytes` above `max_body`, or let clients send less");
    ProxyHeadersTooLarge "proxy_headers_too_large"
        "Envoy refused the request with a 431: its headers, the token included, are too large or too many." =>
        blocked("proxy", Error(431, INVALID_REQUEST),
            "the request headers are larger than the proxy accepts; a new sign-in does not change that",
            "raise `max_request_headers_kb` or `max_headers_count` in Envoy, or let the issuer make smaller \
             tokens");
    ProxyTimeout "proxy_timeout"
        "Envoy ended the request with a 408: it did not arrive in time, or it was idle for too long." =>
        blocked("proxy", Error(408, INVALID_REQUEST),
            "the request did not arrive in time; send it again",
            "check the network; see `request_timeout`, `request_headers_timeout` and `stream_idle_timeout` in \
             Envoy");
    UpstreamTimedOut "upstream_timed_out"
        "The request was allowed, and the server did not answer in the time that Envoy gives it." =>
        failed("upstream", "the server did not answer in time",
            "check the server; see `timeout` and `idle_timeout` of the route in Envoy");
    UpstreamUnavailable "upstream_unavailable"
        "The request was allowed, and the server did not answer." =>
        failed("upstream", "the server did not answer",
            "check the server and its cluster; see the response flags in Envoy's access log");
    UpstreamReset "upstream_reset"
        "The request was allowed, and the server ended its answer too early." =>
        failed("upstream", "the server ended its answer too early",
            "check the server; see the response flags in Envoy's access log");
    RequestNotHeld "request_not_held"
        "Envoy let the headers go before the body was judged, or never delivers the body." =>
        blocked("request", Error(500, INTERNAL_ERROR), "the proxy is not configured to hold requests",
            "set `allow_on_headers_stop_iteration: true` in the filter's PluginConfig, or `hold: \
             buffer_filter` with envoy.filters.http.buffer behind the filter");
    HeadersAlreadySent "headers_already_sent"
        "`Mcp-*` headers have to change with the body, and `hold: buffer_filter` sends them first." =>
        blocked("request", Error(500, INTERNAL_ERROR),
            "the `Mcp-*` headers of this request would have to change, and the proxy is configured to let \
             them go before its body",
            "set `allow_on_headers_stop_iteration: true` in the filter's PluginConfig, and take `hold: \
             buffer_filter` out of the policy");
    WorkerFull "worker_full"
        "The worker holds 64 MiB of bodies, answers and unfinished events for all its streams." =>
        blocked("proxy", Error(503, 503), "the proxy holds too many bodies and answers; try again",
            "try again; let Envoy limit requests, or lower `max_body` and `max_response`");
    NoSealKey "no_seal_key"
        "Sessions, tasks or request states are used, and there is no key to bind them to their caller." =>
        blocked("request", Error(500, INTERNAL_ERROR),
            "sessions, tasks and request states cannot be bound to their caller",
            "set `seal: {key_env: ...}` in the policy, and that variable in the VM's environment");
    RandomnessUnavailable "randomness_unavailable"
        "The host gave no random bytes, which links and sign-ins need." =>
        blocked("request", Page(503), "the host gives no random bytes",
            "allow `random_get` among the capabilities of the VM");
    StoreFull "store_full"
        "The store has no room, and nothing that is still needed is thrown out." =>
        blocked("request", Error(503, 503), "{error}",
            "find the callers with so many calls or connections, or keep them in etcd");
    StoreUnavailable "store_unavailable"
        "The store did not answer, or not in a way that can be read." =>
        blocked("request", Error(503, 503), "{error}",
            "check the cluster under `store`, and that the plugin has a `vm_id` of its own");
}
}
