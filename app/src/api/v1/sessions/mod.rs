mod end;
mod list;
mod log_in;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use woosh_domain::model::{self, SessionId};

use super::auth::TokenCaller;
use super::values::{Integer, Time};
use crate::api::Group;
use crate::api::body::Body;
use crate::services::Services;

/// Session operations of v1.
pub(in crate::api) struct SessionsApi;

#[OpenApi(prefix_path = "/v1/sessions", tag = "Group::Sessions")]
impl SessionsApi {
    /// Log in
    ///
    /// Checks the password, and creates a session with a new token. To use an existing device and its mailbox, pass the
    /// identifier of the device as `device_id`. Otherwise the server creates a device with an empty mailbox. If the
    /// device already has 16 sessions, the login ends the oldest of these sessions.
    #[oai(path = "/", method = "post", operation_id = "logIn")]
    async fn log_in(
        &self,
        services: Data<&Arc<Services>>,
        body: Body<log_in::LogInRequest>,
    ) -> Result<log_in::LogInReply> {
        log_in::log_in(&services, body.0).await
    }

    /// List sessions
    ///
    /// Returns the sessions on all devices of the caller, oldest first.
    #[oai(path = "/", method = "get", operation_id = "listSessions")]
    async fn list(&self, caller: TokenCaller, services: Data<&Arc<Services>>) -> Result<list::ListSessionsReply> {
        list::list(&services, &caller.0).await
    }

    /// Log out
    ///
    /// Ends the session of the bearer token. The device of the session and its mailbox remain.
    #[oai(path = "/current", method = "delete", operation_id = "endCurrentSession")]
    async fn end_current(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
    ) -> Result<end::EndCurrentSessionReply> {
        end::end_current(&services, &caller.0).await
    }

    /// End a session
    ///
    /// Ends one of the caller's sessions immediately. The device of the session and its mailbox remain.
    #[oai(path = "/:id", method = "delete", operation_id = "endSession")]
    async fn end(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// Identifier of the session.
        #[oai(example = "example_id")]
        id: Path<Integer<{ i64::MIN }>>,
    ) -> Result<end::EndSessionReply> {
        end::end(&services, &caller.0.caller, SessionId::new(id.0.0)).await
    }
}

fn example_id() -> Integer<{ i64::MIN }> {
    Integer(1)
}

/// An example token.
pub(super) fn example_token() -> String {
    "d2c1f0a4".repeat(8)
}

/// A login of one device.
#[derive(Object)]
#[oai(example)]
pub(super) struct Session {
    /// Permanent unique identifier.
    id: i64,
    /// Identifier of the device that logged in.
    device_id: i64,
    /// When the session was created.
    created_at: Time,
    /// Whether this is the session that made the request.
    current: bool,
}

impl Session {
    /// Creates the response for a session. `current` is the session that made the request.
    fn new(session: model::Session, current: SessionId) -> Self {
        Self {
            id: session.id.get(),
            device_id: session.device.get(),
            created_at: session.created_at.into(),
            current: session.id == current,
        }
    }

    /// Creates the response for a session that the request has created.
    pub(super) fn current(session: model::Session) -> Self {
        let id = session.id;
        Self::new(session, id)
    }
}

impl Example for Session {
    fn example() -> Self {
        Self { id: 1, device_id: 1, created_at: Time::example(), current: true }
    }
}
