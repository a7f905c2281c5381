use poem_openapi::ApiResponse;
use woosh_domain::model::DeviceId;
use woosh_domain::ports::DeleteDeviceOutcome;
use woosh_domain::use_cases::Caller;

use crate::api::errors::PortFailed;
use crate::api::v1::problem::{Code, Problem};
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum DeleteDeviceReply {
    /// The device is deleted.
    #[oai(status = 204)]
    Deleted,
    /// `device_not_found`: the caller has no device with this identifier.
    #[oai(status = 404)]
    NotFound(Problem),
    /// `last_device`: this is the caller's only device. The device was not deleted, because each user has at least one
    /// device. To delete the device, delete the user with `deleteOwnUser`.
    #[oai(status = 409)]
    Conflict(Problem),
}

pub(super) async fn delete(services: &Services, caller: &Caller, device: DeviceId) -> poem::Result<DeleteDeviceReply> {
    Ok(match services.delete_device.execute(caller, device).await.map_err(PortFailed::from)? {
        DeleteDeviceOutcome::Deleted => DeleteDeviceReply::Deleted,
        DeleteDeviceOutcome::NotFound => {
            DeleteDeviceReply::NotFound(Problem::new(Code::DeviceNotFound, "you have no device with this id"))
        }
        DeleteDeviceOutcome::Last => DeleteDeviceReply::Conflict(Problem::new(
            Code::LastDevice,
            "this is your last device: to delete it, delete your user",
        )),
    })
}
