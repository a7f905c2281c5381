use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{Info, PrivateKey, PublicKey, Version};
use woosh_domain::ports::UserChange;
use woosh_domain::use_cases::{Caller, UpdateUserError};

use super::OwnUser;
use crate::api::errors::{PortFailed, StorageFull};
use crate::api::no_store::NoStore;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::{Nullable, Text, present};
use crate::services::Services;

/// Fields to change. At least one field is required. Set `private_key` to `null` to remove the private key.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct UpdateOwnUserRequest {
    #[oai(skip_serializing_if_is_none)]
    #[serde(default, deserialize_with = "present")]
    public_key: Option<Text<PublicKey>>,
    #[oai(skip_serializing_if_is_none)]
    #[serde(default, deserialize_with = "present")]
    private_key: Option<Nullable<Text<PrivateKey>>>,
    #[oai(skip_serializing_if_is_none)]
    #[serde(default, deserialize_with = "present")]
    info: Option<Text<Info>>,
}

impl Example for UpdateOwnUserRequest {
    fn example() -> Self {
        Self { public_key: None, private_key: None, info: Some(Text::example()) }
    }
}

impl UpdateOwnUserRequest {
    fn is_empty(&self) -> bool {
        self.public_key.is_none() && self.private_key.is_none() && self.info.is_none()
    }
}

impl From<UpdateOwnUserRequest> for UserChange {
    fn from(body: UpdateOwnUserRequest) -> Self {
        Self {
            public_key: body.public_key.map(|key| key.0),
            private_key: body.private_key.map(Nullable::into_domain),
            info: body.info.map(|info| info.0),
        }
    }
}

#[derive(ApiResponse)]
pub(super) enum UpdateOwnUserReply {
    /// The updated user.
    #[oai(status = 200)]
    Ok(
        NoStore<OwnUser>,
        /// New version of the user, to pass as `If-Match` to `updateOwnUser`.
        #[oai(header = "ETag")]
        String,
    ),
    /// `invalid_request`: no field is given, or a field is invalid or too long.
    #[oai(status = 400)]
    BadRequest(Problem),
    /// `version_mismatch`: the user has changed since the client received the `ETag` that it passed in `If-Match`.
    /// Nothing was updated. Read the user again, then repeat the update with the new `ETag`.
    #[oai(status = 412)]
    Mismatch(Problem),
    /// `storage_full`: the server has too little disk space left. Nothing was updated.
    #[oai(status = 507)]
    #[expect(dead_code, reason = "returned as an error; declared for the OpenAPI document")]
    Full(Problem),
}

/// Returns the entity tag of a version of the user, as in the header `ETag`.
pub(super) fn etag(version: Version) -> String {
    format!("\"{}\"", version.get())
}

/// The versions of the user for which `If-Match` allows the update.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Any,
    /// One of these versions. Entity tags that the server never issues are left out, because they match no version.
    OneOf(Vec<Version>),
}

impl Expected {
    fn parse(header: &str) -> Self {
        if header.trim() == "*" {
            return Self::Any;
        }
        let version = |tag: &str| {
            let digits = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
            let version = Version::new(digits.parse().ok()?);
            // Another notation of the same number, such as "03", is not an entity tag of this server.
            (etag(version) == tag.trim()).then_some(version)
        };
        Self::OneOf(header.split(',').filter_map(version).collect())
    }
}

pub(super) async fn update(
    services: &Services,
    caller: &Caller,
    if_match: Option<&str>,
    body: UpdateOwnUserRequest,
) -> poem::Result<UpdateOwnUserReply> {
    if body.is_empty() {
        let detail = "the body has no field to change: it needs public_key, private_key or info";
        return Ok(UpdateOwnUserReply::BadRequest(Problem::new(Code::InvalidRequest, detail)));
    }
    let mismatch =
        || UpdateOwnUserReply::Mismatch(Problem::new(Code::VersionMismatch, UpdateUserError::VersionMismatch));
    let expected = match if_match.map(Expected::parse) {
        None | Some(Expected::Any) => None,
        Some(Expected::OneOf(versions)) => {
            let user = services.find_user.execute(&caller.username).await.map_err(PortFailed::from)?;
            let user = user.ok_or_else(Problem::unauthenticated)?;
            if !versions.contains(&user.version) {
                return Ok(mismatch());
            }
            Some(user.version)
        }
    };
    match services.update_user.execute(caller, body.into(), expected).await {
        Ok(user) => {
            let version = etag(user.version);
            Ok(UpdateOwnUserReply::Ok(NoStore(user.into()), version))
        }
        Err(UpdateUserError::VersionMismatch) => Ok(mismatch()),
        Err(UpdateUserError::NotFound) => Err(Problem::unauthenticated().into()),
        Err(UpdateUserError::StorageFull) => Err(StorageFull.into()),
        Err(UpdateUserError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_lists_versions_and_unknown_tags_match_none() {
        let one_of = |versions: &[i64]| Expected::OneOf(versions.iter().copied().map(Version::new).collect());
        assert_eq!(Expected::parse("*"), Expected::Any);
        assert_eq!(Expected::parse("\"3\""), one_of(&[3]));
        assert_eq!(Expected::parse("\"3\", \"5\" ,W/\"6\""), one_of(&[3, 5]));
        for header in ["", "3", "W/\"3\"", "\"x\"", "\"03\"", "\"+3\"", "\"", "\"3", "\"99999999999999999999\"", "é"] {
            assert_eq!(Expected::parse(header), one_of(&[]), "{header}");
        }
    }
}
