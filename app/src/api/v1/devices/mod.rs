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

/// Devices of v1.
pub(in crate::api) struct DevicesApi;

#[OpenApi(prefix_path = "/v1/devices", tag = "Group::Devices")]
impl DevicesApi {
    /// List devices
    ///
    /// All devices of the caller, oldest first.
    #[oai(path = "/", method = "get", operation_id = "listDevices")]
    async fn list(&self, caller: TokenCaller, services: Data<&Arc<Services>>) -> Result<list::Response> {
        list::list(&services, &caller.0.caller).await
    }

    /// Delete a device
    ///
    /// Deletes a device of the caller with its mailbox, whatever waits there, and ends its sessions. The last device stays.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteDevice")]
    async fn delete(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// The device.
        #[oai(example = "example_id")]
        id: Path<Integer<{ i64::MIN }>>,
    ) -> Result<delete::Response> {
        delete::delete(&services, &caller.0.caller, DeviceId::new(id.0.0)).await
    }
}

fn example_id() -> Integer<{ i64::MIN }> {
    Integer(1)
}

/// An installation of a client.
#[derive(Object)]
#[oai(example)]
pub(super) struct Device {
    /// Names the device for good.
    id: i64,
    /// What its owner calls it; may be empty.
    name: String,
    /// When it first logged in.
    created_at: Time,
    /// Whether it is the device that asks.
    current: bool,
}

impl Device {
    /// A device, as one of them sees it.
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
