mod change_password;
mod delete;
mod find;
mod own;
mod register;
mod search;
mod update;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use woosh_domain::model::{self, PrivateKey, Username};

use super::auth::TokenCaller;
use super::header::HeaderText;
use super::values::Text;
use crate::api::Group;
use crate::api::body::Body;
use crate::services::Services;

/// Users of v1.
pub(in crate::api) struct UsersApi;

#[OpenApi(prefix_path = "/v1/users", tag = "Group::Users")]
impl UsersApi {
    /// Register
    ///
    /// Registers a user with a first device, and logs that in. A username is 3 to 32 of `a-z`, `A-Z`, `0-9`, `_` and `-`,
    /// and unique ignoring case.
    #[oai(path = "/", method = "post", operation_id = "registerUser")]
    async fn register(
        &self,
        services: Data<&Arc<Services>>,
        body: Body<register::Registration>,
    ) -> Result<register::Response> {
        register::register(&services, body.0).await
    }

    /// Search users
    ///
    /// The users whose names start with a prefix, ignoring case, in the order of their names. The operator of a server may
    /// turn this off.
    #[oai(path = "/", method = "get", operation_id = "searchUsers")]
    async fn search(
        &self,
        _caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// How the names start: at least 3 characters.
        prefix: Query<Text<Username>>,
        /// The most users of an answer.
        #[oai(default = "search::default_limit")]
        limit: Query<search::Limit>,
        /// The last name of the answer before.
        after: Query<Option<Text<Username>>>,
    ) -> Result<search::Response> {
        search::search(&services, &prefix.0.0, limit.0, after.0).await
    }

    /// Get the own user
    ///
    /// The caller, its vault included. The `ETag` is its version, for `If-Match`.
    #[oai(path = "/me", method = "get", operation_id = "getOwnUser")]
    async fn own(&self, caller: TokenCaller, services: Data<&Arc<Services>>) -> Result<own::Response> {
        own::own(&services, &caller.0.caller).await
    }

    /// Change the own user
    ///
    /// Changes the public key and the vault. What is not given stays as it is.
    #[oai(path = "/me", method = "patch", operation_id = "updateOwnUser")]
    async fn update(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// The `ETag` of the user that is to be changed. Where it has changed since, it stays as it is.
        #[oai(name = "If-Match")]
        if_match: HeaderText,
        body: Body<update::Update>,
    ) -> Result<update::Response> {
        update::update(&services, &caller.0.caller, if_match.0.as_deref(), body.0).await
    }

    /// Delete the own user
    ///
    /// Deletes all that belongs to the caller: its keys, vault, devices and sessions, and what waits in its mailboxes. The
    /// name is not given out again. What it has sent stays with its recipients.
    #[oai(path = "/me", method = "delete", operation_id = "deleteOwnUser")]
    async fn delete(&self, caller: TokenCaller, services: Data<&Arc<Services>>) -> Result<delete::Response> {
        delete::delete(&services, &caller.0.caller).await
    }

    /// Change the own password
    ///
    /// Needs the old one, and ends all other sessions of the caller.
    #[oai(path = "/me/password", method = "put", operation_id = "changePassword")]
    async fn change_password(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        body: Body<change_password::Passwords>,
    ) -> Result<change_password::Response> {
        change_password::change_password(&services, &caller.0, body.0).await
    }

    /// Find a user
    ///
    /// What everybody may see of the user of exactly this name, ignoring case.
    #[oai(path = "/:username", method = "get", operation_id = "findUser")]
    async fn find(
        &self,
        _caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// The name.
        #[oai(example = "example_username")]
        username: Path<String>,
    ) -> Result<find::Response> {
        find::find(&services, &username.0).await
    }
}

fn example_username() -> String {
    "alice".to_owned()
}

/// A user as its owner sees it.
#[derive(Object)]
#[oai(example)]
struct OwnUser {
    /// Names the user for good.
    id: i64,
    /// As it was registered.
    username: String,
    /// What others encrypt for this user with.
    public_key: String,
    /// As the client encrypted it; left out where there is none.
    #[oai(skip_serializing_if_is_none)]
    private_key: Option<String>,
    /// Whatever the client keeps for itself; empty where nothing was given.
    info: String,
}

impl From<model::User> for OwnUser {
    fn from(user: model::User) -> Self {
        Self {
            id: user.id.get(),
            username: user.username.to_string(),
            public_key: user.public_key.into_string(),
            private_key: user.private_key.map(PrivateKey::into_string),
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
            private_key: Some("alice's private key, encrypted".to_owned()),
            info: "likes tea".to_owned(),
        }
    }
}

/// A user as everybody sees it.
#[derive(Object)]
#[oai(example)]
struct User {
    /// Names the user for good.
    id: i64,
    /// As it was registered.
    username: String,
    /// What others encrypt for this user with.
    public_key: String,
}

impl From<model::User> for User {
    fn from(user: model::User) -> Self {
        Self { id: user.id.get(), username: user.username.to_string(), public_key: user.public_key.into_string() }
    }
}

impl Example for User {
    fn example() -> Self {
        Self { id: 1, username: example_username(), public_key: "alice's public key".to_owned() }
    }
}
