//! How the oracle checks the operations of the ports `Users`, `Devices` and `Sessions`, and applies them to its model.

use std::collections::BTreeSet;

use woosh_domain::contract::MailboxModel;
use woosh_domain::model::*;
use woosh_domain::ports::*;

use super::{Account, Check, Oracle, ensure};

impl Oracle {
    pub(crate) fn add_user(&mut self, new: &NewUser, added: Option<&RegisteredUser>) -> Check {
        let is_free =
            self.truth.account(&new.username).is_none() && !self.truth.deleted_names.contains(&new.username.key());
        ensure(added.is_some() == is_free, "D9 a name belongs to one user for ever", || new.username.to_string())?;
        let Some(RegisteredUser { user, device, session }) = added else { return Ok(()) };
        let account = Account {
            name: user.username.clone(),
            password: new.password_hash.reveal().to_owned(),
            devices: BTreeSet::from([device.id]),
        };
        self.truth.accounts.insert(user.id, account);
        self.truth.mailboxes.insert(device.id, MailboxModel::new(new.incarnation, new.created_at));
        if let (Some(session), Some(token)) = (session, new.token) {
            self.truth.open(session.id, user.id, device.id, token);
        }
        Ok(())
    }

    pub(crate) fn delete_user(&mut self, id: UserId, deleted: bool) -> Check {
        let account = self.truth.accounts.remove(&id);
        ensure(deleted == account.is_some(), "D2 exactly the own account is deleted", || format!("{id:?}"))?;
        if let Some(account) = account {
            self.truth.deleted_names.insert(account.name.key());
            account.devices.iter().for_each(|device| self.truth.delete_device(*device));
        }
        Ok(())
    }

    pub(crate) fn delete_device(&mut self, id: UserId, device: DeviceId, outcome: DeleteDeviceOutcome) -> Check {
        let devices = self.truth.accounts.get_mut(&id).map(|account| &mut account.devices);
        let expected = match devices {
            Some(devices) if !devices.contains(&device) => DeleteDeviceOutcome::NotFound,
            Some(devices) if devices.len() == 1 => DeleteDeviceOutcome::Last,
            Some(devices) => {
                devices.remove(&device);
                DeleteDeviceOutcome::Deleted
            }
            None => DeleteDeviceOutcome::NotFound,
        };
        if expected == DeleteDeviceOutcome::Deleted {
            self.truth.delete_device(device);
        }
        ensure(outcome == expected, "D2 D9 only own devices are deleted", || {
            format!("{outcome:?}, expected {expected:?}")
        })
    }

    pub(crate) fn open_session(&mut self, new: &NewSession, outcome: &OpenSessionOutcome) -> Check {
        let current = self.truth.accounts.get_mut(&new.user_id);
        let current = current.filter(|account| account.password == new.password_hash.reveal());
        let (OpenSessionOutcome::Opened(session, device), Some(account)) = (outcome, current) else {
            let is_refused = !matches!(outcome, OpenSessionOutcome::Opened(..));
            return ensure(is_refused, "D9 a login needs the current password", || format!("{outcome:?}"));
        };
        if account.devices.insert(device.id) {
            self.truth.mailboxes.insert(device.id, MailboxModel::new(new.incarnation, new.now));
        }
        let open = self.truth.sessions.iter().filter(|(_, (_, of))| *of == device.id);
        if open.clone().count() >= MAX_SESSIONS
            && let Some(oldest) = open.map(|(session, _)| *session).min()
        {
            self.truth.sessions.remove(&oldest);
        }
        self.truth.open(session.id, new.user_id, device.id, new.token);
        Ok(())
    }

    pub(crate) fn find_session(&self, token: &TokenHash, found: Option<&SessionOwner>) -> Check {
        let found = found.map(|owner| (owner.session, owner.user_id, owner.device));
        let expected = self.truth.session(token);
        ensure(found == expected, "D9 exactly open sessions are found", || format!("{found:?}, expected {expected:?}"))
    }

    pub(crate) fn end_session(&mut self, user: UserId, session: SessionId, ended: bool) -> Check {
        let is_own = self.truth.sessions.get(&session).is_some_and(|(of, _)| *of == user);
        if is_own {
            self.truth.sessions.remove(&session);
        }
        ensure(ended == is_own, "D9 only own sessions are ended", || format!("{session:?} of {user:?}"))
    }

    pub(crate) fn set_password(
        &mut self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        keep: SessionId,
        changed: bool,
    ) -> Check {
        let account = self.truth.accounts.get_mut(&id).filter(|account| account.password == old.reveal());
        ensure(changed == account.is_some(), "D9 a change needs the current password", || format!("{id:?}"))?;
        if let Some(account) = account {
            new.reveal().clone_into(&mut account.password);
            self.truth.sessions.retain(|session, (user, _)| *user != id || *session == keep);
        }
        Ok(())
    }
}
