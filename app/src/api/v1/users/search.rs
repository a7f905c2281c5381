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

pub(super) type Limit = Integer<1, { SearchUsers::MAX_LIMIT as i64 }>;

pub(super) fn default_limit() -> Limit {
    Integer(20)
}

/// A page of a search.
#[derive(Object)]
#[oai(example)]
pub(super) struct Users {
    /// The users, in the order of their names.
    users: Vec<User>,
    /// Whether there are more: ask for those after the last of these.
    has_more: bool,
}

impl From<FoundUsers> for Users {
    fn from(found: FoundUsers) -> Self {
        Self { users: found.users.into_iter().map(User::from).collect(), has_more: found.has_more }
    }
}

impl Example for Users {
    fn example() -> Self {
        Self { users: vec![User::example()], has_more: false }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The users.
    #[oai(status = 200)]
    Ok(Json<Users>),
    /// `invalid_request`: a parameter is missing or wrong.
    #[oai(status = 400)]
    BadRequest(Problem),
    /// `search_off`: this server does not let users be searched for.
    #[oai(status = 403)]
    Forbidden(Problem),
}

pub(super) async fn search(
    services: &Services,
    prefix: &Username,
    limit: Limit,
    after: Option<Text<Username>>,
) -> poem::Result<Response> {
    // The start of a name that is long enough to search for is itself like a name.
    let found = services.search_users.execute(prefix.as_str(), after.map(|after| after.0), limit.unsigned()).await;
    Ok(match found {
        Ok(found) => Response::Ok(Json(found.into())),
        Err(error @ SearchUsersError::Off) => Response::Forbidden(Problem::new(Code::SearchOff, error)),
        Err(error @ (SearchUsersError::PrefixTooShort | SearchUsersError::Limit)) => {
            Response::BadRequest(Problem::new(Code::InvalidRequest, error))
        }
        Err(SearchUsersError::Port(error)) => return Err(PortFailed::from(error).into()),
    })
}
