use async_trait::async_trait;

use super::MemoryStore;
use crate::model::{MAX_DEVICES, MAX_SESSIONS, Session, SessionId, TokenHash, UserId};
use crate::ports::{NewSession, OpenSessionOutcome, PortError, SessionOwner, Sessions};

#[async_trait]
impl Sessions for MemoryStore {
    async fn open(&self, new: NewSession) -> Result<OpenSessionOutcome, PortError> {
        let state = &mut *self.state();
        let Some(account) = state.account_of(new.user_id).filter(|account| account.password_hash == new.password_hash)
        else {
            return Ok(OpenSessionOutcome::Superseded);
        };
        let own = account.devices.iter().find(|device| Some(device.id) == new.device).cloned();
        if own.is_none() && !new.may_add_device {
            return Ok(OpenSessionOutcome::NoDevice);
        }
        if own.is_none() && account.devices.len() >= MAX_DEVICES {
            return Ok(OpenSessionOutcome::TooManyDevices);
        }
        let is_new = own.is_none();
        let device = own.unwrap_or_else(|| state.add_device(new.device_name, new.incarnation, new.now));
        let session = state.add_session(device.id, new.now);
        if let Some(account) = state.account_of(new.user_id) {
            if is_new {
                account.devices.push(device.clone());
            }
            account.sessions.push((session.clone(), new.token));
            let of_device = account.sessions.iter().filter(|(session, _)| session.device == device.id);
            if of_device.clone().count() > MAX_SESSIONS
                && let Some(oldest) = of_device.map(|(session, _)| session.id).min()
            {
                account.sessions.retain(|(session, _)| session.id != oldest);
                self.notifier.notify([device.id].into_iter());
            }
        }
        Ok(OpenSessionOutcome::Opened(session, device))
    }

    async fn find(&self, token: &TokenHash) -> Result<Option<SessionOwner>, PortError> {
        let state = self.state();
        let mut owners = state.accounts.iter().flat_map(|account| {
            account.sessions.iter().filter(|(_, hash)| hash == token).map(|(session, _)| SessionOwner {
                session: session.id,
                user_id: account.user.id,
                username: account.user.username.clone(),
                device: session.device,
            })
        });
        Ok(owners.next())
    }

    fn recall(&self, _: &TokenHash) -> Option<SessionOwner> {
        None
    }

    async fn list(&self, user: UserId) -> Result<Vec<Session>, PortError> {
        let mut state = self.state();
        let sessions = state.account_of(user).map(|account| account.sessions.as_slice()).unwrap_or_default();
        Ok(sessions.iter().map(|(session, _)| session.clone()).collect())
    }

    async fn end(&self, user: UserId, session: SessionId) -> Result<bool, PortError> {
        let mut state = self.state();
        let Some(account) = state.account_of(user) else {
            return Ok(false);
        };
        let Some(index) = account.sessions.iter().position(|(own, _)| own.id == session) else {
            return Ok(false);
        };
        let (ended, _) = account.sessions.remove(index);
        self.notifier.notify([ended.device].into_iter());
        Ok(true)
    }
}
