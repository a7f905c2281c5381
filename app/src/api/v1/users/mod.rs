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
use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use woosh_domain::model::{self, PrivateKey, Username};

use super::auth::TokenCaller;
use super::header::HeaderText;
use super::values::Text;
use crate::api::Group;
use crate::api::body::Body;
use crate::api::query::Query;
use crate::services::Services;

/// User operations of v1.
pub(in crate::api) struct UsersApi;

#[OpenApi(prefix_path = "/v1/users", tag = "Group::Users")]
impl UsersApi {
    /// Register a user
    ///
    /// Creates a user and its first device, and returns the token of a new session on this device. A username has 3 to
    /// 32 characters from `a-z`, `A-Z`, `0-9`, `_` and `-`, and is unique regardless of case.
    #[oai(path = "/", method = "post", operation_id = "registerUser")]
    async fn register(
        &self,
        services: Data<&Arc<Services>>,
        body: Body<register::RegisterUserRequest>,
    ) -> Result<register::RegisterUserReply> {
        register::register(&services, body.0).await
    }

    /// Search users
    ///
    /// Returns the users whose usernames start with `prefix`, in order of their usernames. The comparison and the order
    /// ignore case. The operator of the server can turn search off.
    #[oai(path = "/", method = "get", operation_id = "searchUsers")]
    async fn search(
        &self,
        _caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// Start of the usernames to find: 3 to 32 characters, case-insensitive.
        prefix: Query<Text<Username>>,
        /// Maximum number of users to return. If public keys are large, a page can have fewer users although more users
        /// match: check `has_more`.
        #[oai(default = "search::default_limit")]
        limit: Query<search::SearchLimit>,
        /// Return only users whose usernames come after this username in the order, which ignores case. To read the
        /// next page, pass the last username of the previous page.
        after: Query<Option<Text<Username>>>,
    ) -> Result<search::SearchUsersReply> {
        search::search(&services, &prefix.0.0, limit.0, after.0).await
    }

    /// Get your user
    ///
    /// Returns the caller's user, including the vault (`private_key` and `info`). To detect concurrent changes, pass
    /// the `ETag` of the response as `If-Match` to `updateOwnUser`.
    #[oai(path = "/me", method = "get", operation_id = "getOwnUser")]
    async fn own(&self, caller: TokenCaller, services: Data<&Arc<Services>>) -> Result<own::GetOwnUserReply> {
        own::own(&services, &caller.0.caller).await
    }

    /// Update your user
    ///
    /// Changes the caller's public key and vault (`private_key` and `info`). Fields that are absent from the request
    /// remain unchanged.
    #[oai(path = "/me", method = "patch", operation_id = "updateOwnUser")]
    async fn update(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// The `ETag` that the client received with the user. If the user has changed since then, the update fails with
        /// `version_mismatch`. If this header is absent, the server does not check for changes, and the update may
        /// overwrite a change that the client has not seen.
        #[oai(name = "If-Match")]
        if_match: HeaderText,
        body: Body<update::UpdateOwnUserRequest>,
    ) -> Result<update::UpdateOwnUserReply> {
        update::update(&services, &caller.0.caller, if_match.0.as_deref(), body.0).await
    }

    /// Delete your user
    ///
    /// Deletes the caller's user with its keys, vault, devices, sessions and mailboxes. Nobody can register the
    /// username again. Messages that the user sent remain in the mailboxes of their recipients.
    #[oai(path = "/me", method = "delete", operation_id = "deleteOwnUser")]
    async fn delete(&self, caller: TokenCaller, services: Data<&Arc<Services>>) -> Result<delete::DeleteOwnUserReply> {
        delete::delete(&services, &caller.0.caller).await
    }

    /// Change your password
    ///
    /// Replaces the caller's password, and ends all sessions of the caller except the session that makes the request.
    /// The request must contain the current password, so that nobody can change the password with only a stolen token.
    #[oai(path = "/me/password", method = "put", operation_id = "changePassword")]
    async fn change_password(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        body: Body<change_password::ChangePasswordRequest>,
    ) -> Result<change_password::ChangePasswordReply> {
        change_password::change_password(&services, &caller.0, body.0).await
    }

    /// Get a user
    ///
    /// Returns the public profile of the user with the given `username`: identifier, username and public key.
    #[oai(path = "/:username", method = "get", operation_id = "findUser")]
    async fn find(
        &self,
        _caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// Username of the user to return, case-insensitive.
        #[oai(example = "example_username")]
        username: Path<String>,
    ) -> Result<find::FindUserReply> {
        find::find(&services, &username.0).await
    }
}

fn example_username() -> String {
    "alice".to_owned()
}

/// The caller's own user, including the vault.
#[derive(Object)]
#[oai(example)]
struct OwnUser {
    /// Permanent unique identifier.
    id: i64,
    /// Username, with upper and lower case as registered.
    username: String,
    /// Public key with which others encrypt messages to the user. The server stores the key without interpreting it.
    public_key: String,
    /// Private key, encrypted by the client. Absent if none is stored.
    #[oai(skip_serializing_if_is_none)]
    private_key: Option<String>,
    /// Private data of the user, which the server stores without interpreting it. Empty by default.
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

/// Public profile of a user.
#[derive(Object)]
#[oai(example)]
struct User {
    /// Permanent unique identifier.
    id: i64,
    /// Username, with upper and lower case as registered.
    username: String,
    /// Public key with which others encrypt messages to the user. The server stores the key without interpreting it.
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
