use std::sync::Arc;

use crate::model::{User, Username};
use crate::ports::{PortError, Users};

/// Searches users by the start of their names.
pub struct SearchUsers {
    users: Arc<dyn Users>,
    allowed: bool,
}

/// A page of a search.
#[derive(Debug, Clone)]
pub struct FoundUsers {
    /// The users, in the order of their names.
    pub users: Vec<User>,
    /// Whether there are more.
    pub has_more: bool,
}

/// Why nobody was searched for.
#[derive(Debug, thiserror::Error)]
pub enum SearchUsersError {
    /// The operator has turned the search off.
    #[error("this server does not let users be searched for")]
    Off,
    /// The prefix is shorter than [`SearchUsers::MIN_PREFIX`].
    #[error("prefix is shorter than {} characters", SearchUsers::MIN_PREFIX)]
    PrefixTooShort,
    /// The limit is not 1 to [`SearchUsers::MAX_LIMIT`].
    #[error("limit has to be 1 to {}", SearchUsers::MAX_LIMIT)]
    Limit,
    /// The port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl SearchUsers {
    /// The fewest characters of a prefix.
    pub const MIN_PREFIX: usize = 3;
    /// The most users of a page.
    pub const MAX_LIMIT: usize = 100;

    /// Works on this port, where the operator allows it.
    pub fn new(users: Arc<dyn Users>, allowed: bool) -> Self {
        Self { users, allowed }
    }

    /// The users whose names start with `prefix`, ignoring case, behind the name `after`, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// Where it is not allowed, the prefix is too short or the limit out of range, or the port fails.
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
        // One more, to see whether there is more.
        let mut users = self.users.search(prefix, after, limit + 1).await?;
        let has_more = users.len() > limit;
        users.truncate(limit);
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
    async fn a_search_is_refused_before_it_costs_anything() {
        assert!(matches!(refused(false, "alice", 10).await, SearchUsersError::Off));
        assert!(matches!(refused(true, "al", 10).await, SearchUsersError::PrefixTooShort));
        assert!(matches!(refused(true, "ali", 0).await, SearchUsersError::Limit));
        assert!(matches!(refused(true, "ali", 101).await, SearchUsersError::Limit));
    }
}
