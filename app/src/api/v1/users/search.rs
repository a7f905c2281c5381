use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::model::Username;
use woosh_domain::use_cases::{FoundUsers, SearchUsers, SearchUsersError};

use super::User;
use crate::api::errors::PortFailed;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::{Integer, Text};
use crate::services::Services;

pub(super) type SearchLimit = Integer<1, { SearchUsers::MAX_LIMIT as i64 }>;

pub(super) fn default_limit() -> SearchLimit {
    Integer(20)
}

/// A page of matching users. Empty if no user matches.
#[derive(Object)]
#[oai(example)]
pub(super) struct UserPage {
    /// Users in order of their usernames.
    users: Vec<User>,
    /// Whether more users match after this page. To read the next page, pass the last username of this page as `after`.
    has_more: bool,
}

impl From<FoundUsers> for UserPage {
    fn from(found: FoundUsers) -> Self {
        Self { users: found.users.into_iter().map(User::from).collect(), has_more: found.has_more }
    }
}

impl Example for UserPage {
    fn example() -> Self {
        Self { users: vec![User::example()], has_more: false }
    }
}

#[derive(ApiResponse)]
pub(super) enum SearchUsersReply {
    /// A page of matching users. Empty if no user matches.
    #[oai(status = 200)]
    Ok(Json<UserPage>),
    /// `invalid_request`: `prefix` is missing, or `prefix`, `limit` or `after` is invalid.
    #[oai(status = 400)]
    BadRequest(Problem),
    /// `search_off`: the operator has turned search off.
    #[oai(status = 403)]
    Forbidden(Problem),
}

pub(super) async fn search(
    services: &Services,
    prefix: &Username,
    limit: SearchLimit,
    after: Option<Text<Username>>,
) -> poem::Result<SearchUsersReply> {
    // `prefix` has the type `Username`, because every prefix that is long enough is also a valid username.
    let found = services.search_users.execute(prefix.as_str(), after.map(|after| after.0), limit.unsigned()).await;
    Ok(match found {
        Ok(found) => SearchUsersReply::Ok(Json(found.into())),
        Err(error @ SearchUsersError::Off) => SearchUsersReply::Forbidden(Problem::new(Code::SearchOff, error)),
        Err(error @ (SearchUsersError::PrefixTooShort | SearchUsersError::Limit)) => {
            SearchUsersReply::BadRequest(Problem::new(Code::InvalidRequest, error))
        }
        Err(SearchUsersError::Port(error)) => return Err(PortFailed::from(error).into()),
    })
}
