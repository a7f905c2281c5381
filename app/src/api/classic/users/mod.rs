mod find;
mod own;
mod register;
mod update;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use woosh_domain::model::{PrivateKey, User};

use super::auth::ClassicCaller;
use crate::api::Group;
use crate::api::body::Body;
use crate::api::query::Query;
use crate::services::Services;

/// User operations of the classic API.
pub(in crate::api) struct ClassicUsersApi;

#[OpenApi(tag = "Group::Classic")]
impl ClassicUsersApi {
    /// Register a user
    ///
    /// Creates a user. A username has 3 to 32 characters from `a-z`, `A-Z`, `0-9`, `_` and `-`, and is unique
    /// regardless of case.
    #[oai(path = "/users", method = "post", operation_id = "classicRegisterUser", deprecated)]
    async fn register(
        &self,
        services: Data<&Arc<Services>>,
        body: Body<register::ClassicRegisterUserRequest>,
    ) -> Result<register::ClassicRegisterUserReply> {
        register::register(&services, body.0).await
    }

    /// Get your user
    ///
    /// Returns the caller's user, including the vault (`private_key` and `info`).
    #[oai(path = "/users/me", method = "get", operation_id = "classicGetOwnUser", deprecated)]
    async fn own(&self, caller: ClassicCaller, services: Data<&Arc<Services>>) -> Result<own::ClassicGetOwnUserReply> {
        own::own(&services, &caller.0).await
    }

    /// Update your user
    ///
    /// Replaces the caller's `info`.
    #[oai(path = "/users/me", method = "post", operation_id = "classicUpdateOwnUser", deprecated)]
    async fn update(
        &self,
        caller: ClassicCaller,
        services: Data<&Arc<Services>>,
        body: Body<update::ClassicUpdateOwnUserRequest>,
    ) -> Result<update::ClassicUpdateOwnUserReply> {
        update::update(&services, &caller.0, body.0).await
    }

    /// Get a user
    ///
    /// Returns the public profile of the user with the given `username`: identifier, username and public key.
    #[oai(path = "/users/friends", method = "get", operation_id = "classicFindUser", deprecated)]
    async fn find(
        &self,
        _caller: ClassicCaller,
        services: Data<&Arc<Services>>,
        /// Username of the user to return, case-insensitive.
        #[oai(example = "example_username")]
        username: Query<String>,
    ) -> Result<find::ClassicFindUserReply> {
        find::find(&services, &username.0).await
    }
}

fn example_username() -> String {
    "alice".to_owned()
}

/// The caller's own user, including the vault.
#[derive(Debug, Object)]
#[oai(example)]
struct ClassicOwnUser {
    /// Permanent unique identifier.
    id: i64,
    /// Username, with upper and lower case as registered.
    username: String,
    /// Public key with which others encrypt messages to the user. The server stores the key without interpreting it.
    public_key: String,
    /// Private key, encrypted by the client. Empty if none is stored.
    private_key: String,
    /// Private data of the user, which the server stores without interpreting it. Empty by default.
    info: String,
}

impl From<User> for ClassicOwnUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id.get(),
            username: user.username.to_string(),
            public_key: user.public_key.into_string(),
            private_key: user.private_key.map(PrivateKey::into_string).unwrap_or_default(),
            info: user.info.into_string(),
        }
    }
}

impl Example for ClassicOwnUser {
    fn example() -> Self {
        Self {
            id: 1,
            username: example_username(),
            public_key: "alice's public key".to_owned(),
            private_key: "alice's private key, encrypted".to_owned(),
            info: String::new(),
        }
    }
}

/// Public profile of a user.
#[derive(Debug, Object)]
#[oai(example)]
struct ClassicUser {
    /// Permanent unique identifier.
    id: i64,
    /// Username, with upper and lower case as registered.
    username: String,
    /// Public key with which others encrypt messages to the user. The server stores the key without interpreting it.
    public_key: String,
}

impl From<User> for ClassicUser {
    fn from(user: User) -> Self {
        Self { id: user.id.get(), username: user.username.to_string(), public_key: user.public_key.into_string() }
    }
}

impl Example for ClassicUser {
    fn example() -> Self {
        Self { id: 1, username: example_username(), public_key: "alice's public key".to_owned() }
    }
}
