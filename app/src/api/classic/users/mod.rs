mod find;
mod own;
mod register;
mod update;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use woosh_domain::model::{PrivateKey, User};

use super::auth::ClassicCaller;
use crate::api::Group;
use crate::api::body::Body;
use crate::services::Services;

/// Users of the classic API.
pub(in crate::api) struct UsersApi;

#[OpenApi(tag = "Group::Classic")]
impl UsersApi {
    /// Register
    ///
    /// Registers a user. A username is 3 to 32 of `a-z`, `A-Z`, `0-9`, `_` and `-`, and unique ignoring case.
    #[oai(path = "/users", method = "post", operation_id = "classicRegisterUser", deprecated)]
    async fn register(
        &self,
        services: Data<&Arc<Services>>,
        body: Body<register::Registration>,
    ) -> Result<register::Response> {
        register::register(&services, body.0).await
    }

    /// Get the own user
    ///
    /// The caller, its vault included.
    #[oai(path = "/users/me", method = "get", operation_id = "classicGetOwnUser", deprecated)]
    async fn own(&self, caller: ClassicCaller, services: Data<&Arc<Services>>) -> Result<own::Response> {
        own::own(&services, &caller.0).await
    }

    /// Change the own user
    ///
    /// Replaces what the caller's client keeps for itself.
    #[oai(path = "/users/me", method = "post", operation_id = "classicUpdateOwnUser", deprecated)]
    async fn update(
        &self,
        caller: ClassicCaller,
        services: Data<&Arc<Services>>,
        body: Body<update::Update>,
    ) -> Result<update::Response> {
        update::update(&services, &caller.0, body.0).await
    }

    /// Find a user
    ///
    /// What everybody may see of the user of exactly this name.
    #[oai(path = "/users/friends", method = "get", operation_id = "classicFindUser", deprecated)]
    async fn find(
        &self,
        _caller: ClassicCaller,
        services: Data<&Arc<Services>>,
        /// The name, ignoring case.
        #[oai(example = "example_username")]
        username: Query<String>,
    ) -> Result<find::Response> {
        find::find(&services, &username.0).await
    }
}

fn example_username() -> String {
    "alice".to_owned()
}

/// A user as its owner sees it.
#[derive(Debug, Object)]
#[oai(rename = "ClassicOwnUser", example)]
struct OwnUser {
    /// Names the user for good.
    id: i64,
    /// As it was registered.
    username: String,
    /// What others encrypt for this user with.
    public_key: String,
    /// As the client encrypted it; empty where there is none.
    private_key: String,
    /// Whatever the client keeps for itself; empty where nothing was given.
    info: String,
}

impl From<User> for OwnUser {
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

impl Example for OwnUser {
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

/// A user as everybody sees it.
#[derive(Debug, Object)]
#[oai(rename = "ClassicUser", example)]
struct PublicUser {
    /// Names the user for good.
    id: i64,
    /// As it was registered.
    username: String,
    /// What others encrypt for this user with.
    public_key: String,
}

impl From<User> for PublicUser {
    fn from(user: User) -> Self {
        Self { id: user.id.get(), username: user.username.to_string(), public_key: user.public_key.into_string() }
    }
}

impl Example for PublicUser {
    fn example() -> Self {
        Self { id: 1, username: example_username(), public_key: "alice's public key".to_owned() }
    }
}
