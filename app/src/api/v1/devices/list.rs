use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::use_cases::Caller;

use super::Device;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// The devices of a user.
#[derive(Object)]
#[oai(example)]
pub(super) struct Devices {
    /// The devices, oldest first.
    devices: Vec<Device>,
}

impl Example for Devices {
    fn example() -> Self {
        Self { devices: vec![Device::example()] }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The devices.
    #[oai(status = 200)]
    Ok(Json<Devices>),
}

pub(super) async fn list(services: &Services, caller: &Caller) -> poem::Result<Response> {
    let devices = services.list_devices.execute(caller).await.map_err(PortFailed::from)?;
    let devices = devices.into_iter().map(|device| Device::new(device, caller.device)).collect();
    Ok(Response::Ok(Json(Devices { devices })))
}
