use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::SequenceNumber;
use woosh_domain::use_cases::{AcknowledgeError, Caller};

use crate::api::errors::PortFailed;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::Integer;
use crate::services::Services;

/// Acknowledges messages up to a sequence number.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct AcknowledgeMailboxRequest {
    /// Acknowledge everything up to and including this sequence number.
    up_to: Integer<0>,
}

impl Example for AcknowledgeMailboxRequest {
    fn example() -> Self {
        Self { up_to: Integer(1) }
    }
}

/// The position up to which the mailbox is acknowledged.
#[derive(Object)]
#[oai(example)]
pub(super) struct AcknowledgeMailboxResponse {
    /// Last acknowledged sequence number. Higher than `up_to` in the request if the client acknowledged more before.
    acknowledged: i64,
}

impl Example for AcknowledgeMailboxResponse {
    fn example() -> Self {
        Self { acknowledged: 1 }
    }
}

#[derive(ApiResponse)]
pub(super) enum AcknowledgeMailboxReply {
    /// The messages are acknowledged and deleted.
    #[oai(status = 200)]
    Ok(Json<AcknowledgeMailboxResponse>),
    /// `invalid_request`: `up_to` is missing or invalid.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "returned by the body parser; declared for the OpenAPI document")]
    BadRequest(Problem),
    /// `beyond_mailbox`: `up_to` is higher than the last sequence number of the mailbox. Nothing was acknowledged.
    #[oai(status = 422)]
    Beyond(Problem),
}

pub(super) async fn acknowledge(
    services: &Services,
    caller: &Caller,
    body: &AcknowledgeMailboxRequest,
) -> poem::Result<AcknowledgeMailboxReply> {
    match services.acknowledge.execute(caller, SequenceNumber::new(body.up_to.0)).await {
        Ok(reached) => {
            Ok(AcknowledgeMailboxReply::Ok(Json(AcknowledgeMailboxResponse { acknowledged: reached.get() })))
        }
        Err(error @ AcknowledgeError::Beyond(_)) => {
            Ok(AcknowledgeMailboxReply::Beyond(Problem::new(Code::BeyondMailbox, error)))
        }
        Err(AcknowledgeError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
