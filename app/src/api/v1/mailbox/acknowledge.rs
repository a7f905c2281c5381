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

/// What is safely processed.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct AcknowledgeOutcome {
    /// All up to this sequence number.
    up_to: Integer<0>,
}

impl Example for AcknowledgeOutcome {
    fn example() -> Self {
        Self { up_to: Integer(1) }
    }
}

/// What is acknowledged.
#[derive(Object)]
#[oai(example)]
pub(super) struct Acknowledged {
    /// All up to this sequence number.
    acknowledged: i64,
}

impl Example for Acknowledged {
    fn example() -> Self {
        Self { acknowledged: 1 }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// It is acknowledged, and deleted.
    #[oai(status = 200)]
    Ok(Json<Acknowledged>),
    /// `invalid_request`: the field is missing or wrong.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "given where the body is read; here for the document")]
    BadRequest(Problem),
    /// `beyond_mailbox`: no message of this sequence number was ever there. Nothing was acknowledged.
    #[oai(status = 422)]
    Beyond(Problem),
}

pub(super) async fn acknowledge(
    services: &Services,
    caller: &Caller,
    body: &AcknowledgeOutcome,
) -> poem::Result<Response> {
    match services.acknowledge.execute(caller, SequenceNumber::new(body.up_to.0)).await {
        Ok(reached) => Ok(Response::Ok(Json(Acknowledged { acknowledged: reached.get() }))),
        Err(error @ AcknowledgeError::Beyond(_)) => Ok(Response::Beyond(Problem::new(Code::BeyondMailbox, error))),
        Err(AcknowledgeError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
