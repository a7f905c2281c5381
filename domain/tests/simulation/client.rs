//! The clients: what they know, and which requests they make in a step of the simulation.

use std::time::Duration;

use woosh_domain::model::*;
use woosh_domain::ports::AddressedContents;
use woosh_domain::use_cases::SendRequest;

use crate::oracle::{Oracle, Send};
use crate::replica::{Answer, Call};
use crate::step::{Ask, Position};
use crate::world::{CLIENTS, CLIENTS_PER_USER, USERS};

/// One installation of a client, on a device of a user.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    pub(crate) device: Option<DeviceId>,
    pub(crate) login: Option<(SessionId, Token)>,
    /// The last sequence number that the client has seen, and the incarnation of the mailbox at that time.
    pub(crate) seen: Cursor,
    /// The client's last send that has an idempotency key, as an index into `Oracle::sends`.
    last_keyed: Option<usize>,
    /// The `query_time` that the client's last poll of the classic API returned.
    query_time: i64,
}

/// What the clients of a user know about their account.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    /// The number of accounts that the user had before the current account. This number is part of the username,
    /// because names of deleted accounts can't be used again.
    generation: usize,
    is_registered: bool,
    /// Two passwords, as arguments of the function `password`: the one that the clients use, and one that may be right
    /// instead, because the answer to a password change was lost.
    passwords: (usize, Option<usize>),
}

/// All clients and users.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) clients: [Client; CLIENTS],
    users: [User; USERS],
    passwords: usize,
}

fn user_of(client: usize) -> usize {
    client / CLIENTS_PER_USER
}

fn password(number: usize) -> String {
    format!("password {number}")
}

impl Clients {
    pub(crate) fn new() -> Self {
        Self { clients: Default::default(), users: Default::default(), passwords: 0 }
    }

    fn name(&self, user: usize) -> Username {
        Username::new(&format!("user{user}-{}", self.users[user].generation)).unwrap()
    }

    /// Returns the request that carries out `ask`, and the client's token if the request needs a token. If the client
    /// first has to register or log in, returns the registration or login instead. Returns `None` if the client can't
    /// carry out `ask` now.
    pub(crate) fn call(&mut self, client: usize, ask: Ask, oracle: &mut Oracle) -> Option<(Call, Option<Token>)> {
        let user = user_of(client);
        let name = self.name(user);
        let password = password(self.users[user].passwords.0);
        if !self.users[user].is_registered {
            return Some((Call::Register { name, password }, None));
        }
        match ask {
            Ask::Poll => return Some((Call::Poll { name, password }, None)),
            Ask::DeletePolled => {
                return Some((Call::DeletePolled { name, password, until: self.clients[client].query_time }, None));
            }
            _ => {}
        }
        let Some((session, token)) = self.clients[client].login.clone().filter(|_| ask != Ask::LogIn) else {
            return Some((Call::LogIn { name, password, device: self.clients[client].device }, None));
        };
        let call = match ask {
            Ask::Send { .. } | Ask::ReuseKey | Ask::Retry => self.send(client, ask, oracle)?,
            Ask::Read { from, count, wait } => {
                let wait = if wait { Duration::from_secs(30) } else { Duration::ZERO };
                Call::Read { cursor: self.cursor(client, from, oracle), count, wait }
            }
            Ask::Acknowledge(position) => {
                let Cursor { after, incarnation } = self.cursor(client, position, oracle);
                let up_to = after.unwrap_or(SequenceNumber::ZERO);
                if let Some((.., device)) = oracle.truth.session(&token.hash()) {
                    let requested = oracle.truth.requested.entry(device).or_insert(up_to);
                    *requested = up_to.max(*requested);
                }
                Call::Acknowledge { up_to, incarnation }
            }
            Ask::LogOut => Call::LogOut(session),
            Ask::ChangePassword => {
                self.passwords += 1;
                self.users[user].passwords.1 = Some(self.passwords);
                Call::ChangePassword { old: password, new: self::password(self.passwords) }
            }
            Ask::DeleteDevice => {
                let mut others = (0..CLIENTS).filter(|other| user_of(*other) == user && *other != client);
                Call::DeleteDevice(others.find_map(|other| self.clients[other].device)?)
            }
            Ask::DeleteUser => Call::DeleteUser,
            Ask::LogIn | Ask::Poll | Ask::DeletePolled => return None,
        };
        Some((call, Some(token)))
    }

    fn cursor(&self, client: usize, position: Position, oracle: &Oracle) -> Cursor {
        let seen = self.clients[client].seen;
        let moved = |by: i64| seen.after.map(|after| SequenceNumber::new((after.get() + by).max(0)));
        match position {
            Position::Seen => seen,
            Position::Before => Cursor { after: moved(-1), ..seen },
            Position::Start => Cursor::default(),
            Position::Beyond(numbers) => {
                let mailbox = self.clients[client].device.and_then(|device| oracle.truth.mailboxes.get(&device));
                let last = mailbox.map_or(0, |mailbox| mailbox.last().get());
                Cursor { after: Some(SequenceNumber::new(last + numbers)), incarnation: None }
            }
            Position::Elsewhere => Cursor { incarnation: Some(Incarnation::new(-1)), ..seen },
        }
    }

    fn send(&mut self, client: usize, ask: Ask, oracle: &mut Oracle) -> Option<Call> {
        let index = match ask {
            Ask::Send { to, size, keyed, ttl } => {
                let index = oracle.sends.len();
                let key = keyed.then(|| IdempotencyKey::new(&format!("key-{index}")).unwrap());
                let recipients = (0..USERS).filter(|user| to & (1 << user) != 0);
                let recipients = recipients.map(|user| self.name(user)).collect();
                let text = format!("{index}:{}", if size % 2 == 0 { "x".repeat(size) } else { "é".repeat(size / 2) });
                let requested = oracle.now();
                let send = Send { recipients, text, key, ttl, requested, receipt: None };
                oracle.sends.push(send);
                index
            }
            Ask::ReuseKey => {
                let send = &oracle.sends[self.clients[client].last_keyed?];
                let (index, mut other) = (oracle.sends.len(), send.clone());
                other.text = format!("{index}:");
                (other.receipt, other.requested) = (None, oracle.now());
                oracle.sends.push(other);
                index
            }
            _ => self.clients[client].last_keyed?,
        };
        let send = &oracle.sends[index];
        // The send that uses a key again is refused, and must not be repeated in place of the one that has the key.
        if send.key.is_some() && ask != Ask::ReuseKey {
            self.clients[client].last_keyed = Some(index);
        }
        // Each recipient gets other contents.
        let recipients = send.recipients.iter().map(|name| AddressedContents {
            recipient: name.clone(),
            contents: Contents::new(format!("{}{}", send.text, &name.as_str()[4..5])).unwrap(),
        });
        let request = SendRequest { recipients: recipients.collect(), ttl_seconds: send.ttl, key: send.key.clone() };
        Some(Call::Send(index, request))
    }

    /// Updates what a client knows. `answer` is the answer to its request `call`.
    pub(crate) fn learn(&mut self, client: usize, call: &Call, token: Option<&Token>, answer: &Answer) {
        let user = user_of(client);
        let current = self.name(user);
        let is_current = |name: &Username| *name == current;
        match (call, answer) {
            (Call::Register { name, .. }, Answer::Registered(registered)) if is_current(name) => {
                self.users[user].is_registered = true;
                let login = registered.login.clone().map(|(session, token)| (session.id, token));
                self.logged_in(client, registered.device.id, login);
            }
            (Call::Register { name, .. }, Answer::Refused) if is_current(name) => {
                self.users[user].is_registered = true;
            }
            (Call::LogIn { name, .. }, Answer::LoggedIn(login)) if is_current(name) => {
                self.logged_in(client, login.device.id, Some((login.session.id, login.token.clone())));
            }
            (Call::LogIn { name, password, .. }, Answer::Denied) if is_current(name) => self.denied(user, password),
            (Call::ChangePassword { new, .. }, Answer::Done) => {
                let passwords = &mut self.users[user].passwords;
                if let Some(changed) = passwords.1.filter(|number| self::password(*number) == *new) {
                    *passwords = (changed, Some(passwords.0));
                }
            }
            (Call::DeleteUser, Answer::Done) if self.clients[client].login.as_ref().map(|(_, own)| own) == token => {
                self.forget(user);
            }
            (Call::LogOut(_), Answer::Done) | (_, Answer::Unauthorized) => {
                self.clients[client].login.take_if(|(_, own)| Some(&*own) == token);
            }
            (Call::Read { .. }, Answer::Page(page)) => {
                self.clients[client].seen = Cursor { after: Some(page.up_to()), incarnation: Some(page.incarnation) };
            }
            (_, Answer::CursorRefused(CursorError::Ahead(position) | CursorError::OtherIncarnation(position))) => {
                self.clients[client].seen =
                    Cursor { after: Some(position.acknowledged), incarnation: Some(position.incarnation) };
            }
            (Call::Poll { .. }, Answer::Polled { query_time, .. }) => self.clients[client].query_time = *query_time,
            _ => {}
        }
    }

    fn logged_in(&mut self, client: usize, device: DeviceId, login: Option<(SessionId, Token)>) {
        let known = self.clients[client].clone();
        // A new device knows nothing, and keys belong to devices.
        let known = if known.device == Some(device) { known } else { Client::default() };
        self.clients[client] = Client { device: Some(device), login, ..known };
    }

    /// Handles the refusal of the password `tried`. From now on, the clients of the user use the other password that
    /// may be right. If there is none, they take the account for deleted, and register another one.
    fn denied(&mut self, user: usize, tried: &str) {
        let (current, other) = self.users[user].passwords;
        match other {
            _ if password(current) != tried => {}
            Some(other) => self.users[user].passwords = (other, None),
            None => self.forget(user),
        }
    }

    pub(crate) fn forget_polls(&mut self) {
        self.clients.iter_mut().for_each(|client| client.query_time = 0);
    }

    fn forget(&mut self, user: usize) {
        let generation = self.users[user].generation + 1;
        self.users[user] = User { generation, ..User::default() };
        for client in (0..CLIENTS).filter(|client| user_of(*client) == user) {
            self.clients[client] = Client::default();
        }
    }
}
