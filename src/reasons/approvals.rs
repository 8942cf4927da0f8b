//! The reasons of approvals: requests that pass, and pages that succeed.

// Each row: name, code, meaning => what the caller receives.
super::reasons! {
/// The reason of an approval.
Approval: &'static str,
"Requests that pass" {
    Allowed "allowed"
        "A role allows the call, and nothing in the policy denies it." =>
        "the server's answer";
    SessionAllowed "session_allowed"
        "The request uses the server itself, not a tool, prompt or resource: `initialize`, `ping`, a \
         list, a notification, GET or DELETE." =>
        "the server's answer";
    StreamEndedWithToken "stream_ended_with_token"
        "The filter ended an event stream because the token of its caller expired." =>
        "the server's events until then; the connection is closed";
    MetadataPublished "metadata_published"
        "The client asked for the protected resource metadata (RFC 9728)." =>
        "the metadata, HTTP 200";
    PreflightAnswered "preflight_answered"
        "A browser asked what a page of an allowed origin may send (CORS preflight)." =>
        "HTTP 204 with the `Access-Control-Allow-*` headers";
    AuthToolAnswered "auth_tool_answered"
        "The caller used a tool of the filter's own (`auth_*`)." =>
        "the result of the tool";
}
"Pages that succeed" {
    SignInStarted "sign_in_started"
        "A page sent the browser to the issuer, where the user signs in." =>
        "HTTP 303, or a page that leads there";
    SignedIn "signed_in"
        "The browser came back from the issuer, and the user is signed in." =>
        "HTTP 303";
    ConnectPageShown "connect_page_shown"
        "The user was asked whether to connect an account." =>
        "a page, HTTP 200";
    SentToConnect "sent_to_connect"
        "The user agreed, and the browser was sent to the resource's authorization server." =>
        "HTTP 303";
    Connected "connected"
        "The account is connected." =>
        "a page, HTTP 200";
    ConnectedWithLess "connected_with_less"
        "The account is connected, with fewer scopes than requested." =>
        "a page, HTTP 200";
    AccountChosen "account_chosen"
        "The user chose one of the accounts that are connected; calls use it from now on." =>
        "a page, HTTP 200";
    ConnectedBefore "connected_before"
        "The account was connected by an earlier answer of this browser; nothing was changed." =>
        "a page, HTTP 200";
    OverviewShown "overview_shown"
        "The user saw the page with the own connected accounts and open questions." =>
        "a page, HTTP 200";
    AccountsEnded "accounts_ended"
        "The user ended an account, or all of them, on that page." =>
        "HTTP 303";
    ConfirmPageShown "confirm_page_shown"
        "The user was asked whether a call may be made." =>
        "a page, HTTP 200";
    Confirmed "confirmed"
        "The user agreed to a call on a page." =>
        "HTTP 303";
    AnswerPageShown "answer_page_shown"
        "The user was shown that the question about a call is answered." =>
        "a page, HTTP 200";
    ApprovalsPageShown "approvals_page_shown"
        "A person was shown the calls of other users that wait for approval." =>
        "a page, HTTP 200";
    CallApproved "call_approved"
        "A person allowed a call of another user." =>
        "HTTP 303";
    ClientDocumentPublished "client_document_published"
        "An authorization server asked for the filter's client metadata document." =>
        "the document, HTTP 200";
    LoggedOut "logged_out"
        "The issuer ended a user's sign-ins with a logout token." =>
        "HTTP 200";
}
}
