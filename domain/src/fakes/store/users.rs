use async_trait::async_trait;

use super::{Account, MemoryStore};
use crate::model::{PasswordHash, SessionId, User, UserId, Username, Version};
use crate::ports::{Credential, NewUser, PortError, RegisteredUser, UpdateUserOutcome, UserChange, Users};

#[async_trait]
impl Users for MemoryStore {
    async fn add(&self, new: NewUser) -> Result<Option<RegisteredUser>, PortError> {
        let mut state = self.state();
        if state.account(&new.username).is_some() || state.deleted_usernames.contains(&new.username.key()) {
            return Ok(None);
        }
        state.last_user += 1;
        let user = User {
            id: UserId::new(state.last_user),
            username: new.username,
            public_key: new.public_key,
            private_key: new.private_key,
            info: new.info,
            version: Version::FIRST,
        };
        let device = state.add_device(new.device_name, new.incarnation, new.created_at);
        let session = new.token.map(|token| (state.add_session(device.id, new.created_at), token));
        state.accounts.push(Account {
            user: user.clone(),
            password_hash: new.password_hash,
            devices: vec![device.clone()],
            sessions: session.clone().into_iter().collect(),
        });
        Ok(Some(RegisteredUser { user, device, session: session.map(|(session, _)| session) }))
    }

    async fn find(&self, username: &Username) -> Result<Option<User>, PortError> {
        Ok(self.state().account(username).map(|account| account.user.clone()))
    }

    async fn search(&self, prefix: &str, after: Option<Username>, limit: usize) -> Result<Vec<User>, PortError> {
        let (prefix, after) = (prefix.to_ascii_lowercase(), after.map(|after| after.key()));
        let state = self.state();
        let users = state.accounts.iter().map(|account| &account.user);
        let found = users.filter(|user| {
            let key = user.username.key();
            key.starts_with(&prefix) && after.as_ref().is_none_or(|after| key > *after)
        });
        let mut found: Vec<_> = found.cloned().collect();
        found.sort_by_key(|user| user.username.key());
        found.truncate(limit);
        Ok(found)
    }

    async fn credential(&self, username: &Username) -> Result<Option<Credential>, PortError> {
        Ok(self.state().account(username).map(|account| Credential {
            user_id: account.user.id,
            username: account.user.username.clone(),
            password_hash: account.password_hash.clone(),
            first_device: account.devices[0].id,
        }))
    }

    async fn update(
        &self,
        id: UserId,
        change: UserChange,
        expected: Option<Version>,
    ) -> Result<UpdateUserOutcome, PortError> {
        let mut state = self.state();
        let Some(Account { user, .. }) = state.account_of(id) else {
            return Ok(UpdateUserOutcome::NotFound);
        };
        if expected.is_some_and(|version| version != user.version) {
            return Ok(UpdateUserOutcome::VersionMismatch);
        }
        user.version = user.version.next();
        if let Some(key) = change.public_key {
            user.public_key = key;
        }
        if let Some(key) = change.private_key {
            user.private_key = key;
        }
        if let Some(info) = change.info {
            user.info = info;
        }
        Ok(UpdateUserOutcome::Updated(user.clone()))
    }

    async fn set_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: PasswordHash,
        keep: SessionId,
    ) -> Result<bool, PortError> {
        let mut state = self.state();
        let Some(account) = state.account_of(id).filter(|account| account.password_hash == *old) else {
            return Ok(false);
        };
        account.password_hash = new;
        let (kept, ended) = account.sessions.drain(..).partition(|(session, _)| session.id == keep);
        account.sessions = kept;
        self.notifier.notify(ended.iter().map(|(session, _)| session.device));
        Ok(true)
    }

    async fn delete(&self, id: UserId) -> Result<bool, PortError> {
        let mut state = self.state();
        let Some(index) = state.accounts.iter().position(|account| account.user.id == id) else {
            return Ok(false);
        };
        let account = state.accounts.remove(index);
        state.deleted_usernames.insert(account.user.username.key());
        for device in &account.devices {
            state.delete_device(device.id);
        }
        self.notifier.notify(account.devices.iter().map(|device| device.id));
        Ok(true)
    }
}
