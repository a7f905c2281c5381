use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::use_cases::Caller;

use super::Device;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// All devices of a user.
#[derive(Object)]
#[oai(example)]
pub(super) struct DeviceList {
    /// The devices, oldest first.
    devices: Vec<Device>,
}

impl Example for DeviceList {
    fn example() -> Self {
        Self { devices: vec![Device::example()] }
    }
}

#[derive(ApiResponse)]
pub(super) enum ListDevicesReply {
    /// The caller's devices.
    #[oai(status = 200)]
    Ok(Json<DeviceList>),
}

pub(super) async fn list(services: &Services, caller: &Caller) -> poem::Result<ListDevicesReply> {
    let devices = services.list_devices.execute(caller).await.map_err(PortFailed::from)?;
    let devices = devices.into_iter().map(|device| Device::new(device, caller.device)).collect();
    Ok(ListDevicesReply::Ok(Json(DeviceList { devices })))
}
