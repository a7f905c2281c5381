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

/// Sessions of v1.
pub(in crate::api) struct SessionsApi;

#[OpenApi(prefix_path = "/v1/sessions", tag = "Group::Sessions")]
impl SessionsApi {
    /// Log in
    ///
    /// Opens a session on a device. A `device_id` that is one of the user's own is taken up again, with its mailbox; else
    /// a new device is made, whose mailbox starts empty.
    #[oai(path = "/", method = "post", operation_id = "logIn")]
    async fn log_in(&self, services: Data<&Arc<Services>>, body: Body<log_in::Login>) -> Result<log_in::Response> {
        log_in::log_in(&services, body.0).await
    }

    /// List sessions
    ///
    /// All sessions of the caller, oldest first.
    #[oai(path = "/", method = "get", operation_id = "listSessions")]
    async fn list(&self, caller: TokenCaller, services: Data<&Arc<Services>>) -> Result<list::Response> {
        list::list(&services, &caller.0).await
    }

    /// End this session
    ///
    /// Logs out: ends the session that asks. Its device stays, with its mailbox.
    #[oai(path = "/current", method = "delete", operation_id = "endCurrentSession")]
    async fn end_current(&self, caller: TokenCaller, services: Data<&Arc<Services>>) -> Result<end::CurrentResponse> {
        end::end_current(&services, &caller.0).await
    }

    /// End a session
    ///
    /// Ends a session of the caller at once. Its device stays, with its mailbox.
    #[oai(path = "/:id", method = "delete", operation_id = "endSession")]
    async fn end(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// The session.
        #[oai(example = "example_id")]
        id: Path<Integer<{ i64::MIN }>>,
    ) -> Result<end::Response> {
        end::end(&services, &caller.0.caller, SessionId::new(id.0.0)).await
    }
}

fn example_id() -> Integer<{ i64::MIN }> {
    Integer(1)
}

/// What a token looks like.
pub(super) fn example_token() -> String {
    "d2c1f0a4".repeat(8)
}

/// A login of one device.
#[derive(Object)]
#[oai(example)]
pub(super) struct Session {
    /// Names the session for good.
    id: i64,
    /// The device that logged in.
    device_id: i64,
    /// When it logged in.
    created_at: Time,
    /// Whether it is the session that asks.
    current: bool,
}

impl Session {
    /// A session, as one of them sees it.
    fn new(session: model::Session, current: SessionId) -> Self {
        Self {
            id: session.id.get(),
            device_id: session.device.get(),
            created_at: session.created_at.into(),
            current: session.id == current,
        }
    }

    /// A session that was just opened.
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
