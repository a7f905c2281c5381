use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{Incarnation, SequenceNumber};
use woosh_domain::use_cases::{AcknowledgeError, Caller};

use crate::api::errors::PortFailed;
use crate::api::v1::problem::{Code, MailboxProblem, Problem};
use crate::api::v1::values::{Integer, Nullable, Text};
use crate::services::Services;

/// Request to acknowledge all messages up to a sequence number.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct AcknowledgeMailboxRequest {
    /// Acknowledge all messages and gaps up to and including this sequence number.
    up_to: Integer<0>,
    /// The incarnation that the client received together with `up_to`: the `incarnation` of the response, or the first
    /// part of the `id` of the event. If it is not the current incarnation of the mailbox, the request fails with
    /// `mailbox_restored`. If this field is absent, the server does not check the incarnation: after the server was
    /// restored from a backup, the request may then delete messages that the client has not received.
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    incarnation: Nullable<Text<Incarnation>>,
}

impl Example for AcknowledgeMailboxRequest {
    fn example() -> Self {
        Self { up_to: Integer(1), incarnation: Nullable(None) }
    }
}

/// The state of the mailbox after the acknowledgement.
#[derive(Object)]
#[oai(example)]
pub(super) struct Acknowledgement {
    /// Last acknowledged sequence number. Higher than the `up_to` of the request if the device had already acknowledged
    /// a higher number.
    acknowledged: i64,
}

impl Example for Acknowledgement {
    fn example() -> Self {
        Self { acknowledged: 1 }
    }
}

#[derive(ApiResponse)]
pub(super) enum AcknowledgeMailboxReply {
    /// All messages up to `up_to` are acknowledged and deleted.
    #[oai(status = 200)]
    Ok(Json<Acknowledgement>),
    /// `invalid_request`: `up_to` is missing or invalid, or `incarnation` is invalid.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "returned by the body parser; declared for the OpenAPI document")]
    BadRequest(Problem),
    /// `mailbox_restored`: `incarnation` is not the current incarnation of the mailbox, usually because the server was
    /// restored from a backup. Nothing was acknowledged. Replace your stored sequence number and incarnation with the
    /// values of `acknowledged` and `incarnation` in this response, then read the mailbox again.
    #[oai(status = 409)]
    OtherIncarnation(MailboxProblem),
    /// `beyond_mailbox`: `up_to` is higher than the newest sequence number of the mailbox. Nothing was acknowledged.
    #[oai(status = 422)]
    Beyond(MailboxProblem),
}

pub(super) async fn acknowledge(
    services: &Services,
    caller: &Caller,
    body: &AcknowledgeMailboxRequest,
) -> poem::Result<AcknowledgeMailboxReply> {
    let incarnation = body.incarnation.0.as_ref().map(|incarnation| incarnation.0);
    match services.acknowledge.execute(caller, SequenceNumber::new(body.up_to.0), incarnation).await {
        Ok(reached) => Ok(AcknowledgeMailboxReply::Ok(Json(Acknowledgement { acknowledged: reached.get() }))),
        Err(error @ AcknowledgeError::Beyond(position)) => {
            Ok(AcknowledgeMailboxReply::Beyond(MailboxProblem::new(Code::BeyondMailbox, error, position)))
        }
        Err(error @ AcknowledgeError::OtherIncarnation(position)) => {
            Ok(AcknowledgeMailboxReply::OtherIncarnation(MailboxProblem::new(Code::MailboxRestored, error, position)))
        }
        Err(AcknowledgeError::SessionEnded) => Err(Problem::unauthenticated().into()),
        Err(AcknowledgeError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
