use std::sync::Arc;

use crate::model::{User, Username, json_size};
use crate::ports::{PortError, Users};

/// Searches for users by username prefix.
pub struct SearchUsers {
    users: Arc<dyn Users>,
    allowed: bool,
}

/// A page of search results.
#[derive(Debug, Clone)]
pub struct FoundUsers {
    /// The users, ordered by name.
    pub users: Vec<User>,
    /// Whether more users match after this page.
    pub has_more: bool,
}

/// Why a search was refused.
#[derive(Debug, thiserror::Error)]
pub enum SearchUsersError {
    /// The operator has disabled the search.
    #[error("the search for users is disabled on this server")]
    Off,
    /// The prefix is shorter than [`SearchUsers::MIN_PREFIX`].
    #[error("prefix is shorter than {} characters", SearchUsers::MIN_PREFIX)]
    PrefixTooShort,
    /// The limit is below 1 or above [`SearchUsers::MAX_LIMIT`].
    #[error("limit has to be 1 to {}", SearchUsers::MAX_LIMIT)]
    Limit,
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl SearchUsers {
    /// Minimum length of a prefix in characters.
    pub const MIN_PREFIX: usize = 3;
    /// Maximum number of users on a page.
    pub const MAX_LIMIT: usize = 100;
    /// Maximum total size of the public keys on a page in bytes, counted as escaped JSON strings. A page has at least
    /// one user.
    pub const MAX_BYTES: usize = 640 * 1024;

    /// Creates the use case from its dependencies. `allowed` states whether the operator allows searches.
    pub fn new(users: Arc<dyn Users>, allowed: bool) -> Self {
        Self { users, allowed }
    }

    /// Returns a page of the users whose names start with `prefix`, ignoring ASCII case, ordered by name. If `after` is
    /// given, returns only users after that name. A page has at most `limit` users. It has fewer if their public keys
    /// would together exceed [`Self::MAX_BYTES`].
    ///
    /// # Errors
    ///
    /// If searches are not allowed, the prefix is too short, the limit is out of range, or the store fails.
    pub async fn execute(
        &self,
        prefix: &str,
        after: Option<Username>,
        limit: usize,
    ) -> Result<FoundUsers, SearchUsersError> {
        if !self.allowed {
            return Err(SearchUsersError::Off);
        }
        if prefix.chars().count() < Self::MIN_PREFIX {
            return Err(SearchUsersError::PrefixTooShort);
        }
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            return Err(SearchUsersError::Limit);
        }
        if !prefix.bytes().all(Username::allows) {
            return Ok(FoundUsers { users: Vec::new(), has_more: false });
        }
        // Asks for one user more than requested, to know whether there is another page.
        let mut users = self.users.search(prefix, after, limit + 1).await?;
        let mut bytes = 0;
        let fits = |user: &&User| {
            bytes += json_size(user.public_key.as_str().as_bytes());
            bytes <= Self::MAX_BYTES
        };
        let count = users.iter().take(limit).take_while(fits).count().max(1);
        let has_more = users.len() > count;
        users.truncate(count);
        Ok(FoundUsers { users, has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockUsers;

    async fn refused(allowed: bool, prefix: &str, limit: usize) -> SearchUsersError {
        let mut users = MockUsers::new();
        users.expect_search().never();
        SearchUsers::new(Arc::new(users), allowed).execute(prefix, None, limit).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_refused_search_does_not_reach_the_store() {
        assert!(matches!(refused(false, "alice", 10).await, SearchUsersError::Off));
        assert!(matches!(refused(true, "al", 10).await, SearchUsersError::PrefixTooShort));
        assert!(matches!(refused(true, "ali", 0).await, SearchUsersError::Limit));
        assert!(matches!(refused(true, "ali", 101).await, SearchUsersError::Limit));
    }
}
