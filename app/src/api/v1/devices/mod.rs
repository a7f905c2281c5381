mod delete;
mod list;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use woosh_domain::model::{self, DeviceId};

use super::auth::TokenCaller;
use super::values::{Integer, Time};
use crate::api::Group;
use crate::services::Services;

/// Device operations of v1.
pub(in crate::api) struct DevicesApi;

#[OpenApi(prefix_path = "/v1/devices", tag = "Group::Devices")]
impl DevicesApi {
    /// List devices
    ///
    /// Returns all devices of the caller, oldest first.
    #[oai(path = "/", method = "get", operation_id = "listDevices")]
    async fn list(&self, caller: TokenCaller, services: Data<&Arc<Services>>) -> Result<list::ListDevicesReply> {
        list::list(&services, &caller.0.caller).await
    }

    /// Delete a device
    ///
    /// Deletes one of the caller's devices, with its sessions and its mailbox. Messages that are pending in the mailbox
    /// are lost. The last device of a user can't be deleted.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteDevice")]
    async fn delete(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// Identifier of the device.
        #[oai(example = "example_id")]
        id: Path<Integer<{ i64::MIN }>>,
    ) -> Result<delete::DeleteDeviceReply> {
        delete::delete(&services, &caller.0.caller, DeviceId::new(id.0.0)).await
    }
}

fn example_id() -> Integer<{ i64::MIN }> {
    Integer(1)
}

/// One installation of a client application.
#[derive(Object)]
#[oai(example)]
pub(super) struct Device {
    /// Permanent unique identifier.
    id: i64,
    /// Display name of the device. Empty if the client gave no name.
    name: String,
    /// When the device was created, by registration or login.
    created_at: Time,
    /// Whether this is the device that made the request.
    current: bool,
}

impl Device {
    /// Creates the response for a device. `current` is the device that made the request.
    pub(super) fn new(device: model::Device, current: DeviceId) -> Self {
        Self {
            id: device.id.get(),
            name: device.name.into_string(),
            created_at: device.created_at.into(),
            current: device.id == current,
        }
    }
}

impl Example for Device {
    fn example() -> Self {
        Self { id: 1, name: "alice's phone".to_owned(), created_at: Time::example(), current: true }
    }
}
