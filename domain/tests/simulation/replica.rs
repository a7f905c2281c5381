//! A replica: the use cases of a server, on the simulated store and clock of this replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use woosh_domain::fakes::{CountingRandomness, MemoryStore, PlainHasher};
use woosh_domain::model::*;
use woosh_domain::ports::*;
use woosh_domain::timekeeping::ClockChange;
use woosh_domain::use_cases::*;

use crate::store::{ReplicaStore, Shared};
use crate::time::ReplicaClock;

/// Limits that are so small that mailboxes are often full.
pub(crate) const LIMITS: Limits = Limits {
    mailbox: Quota { messages: 8, bytes: 250 },
    ttl_seconds: 3 * 24 * 60 * 60,
    search: true,
    min_free_space: 0,
};

pub(crate) struct Replica {
    pub(crate) store: Arc<ReplicaStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keep_time: KeepTime,
    is_in_doubt: AtomicBool,
    pub(crate) sweep: Sweep,
    pub(crate) forget_keys: ForgetKeys,
    pub(crate) mark_restored: MarkRestored,
    authenticate: Authenticate,
    check_token: CheckToken,
    register: RegisterUser,
    log_in: LogIn,
    end_session: EndSession,
    change_password: ChangePassword,
    delete_device: DeleteDevice,
    delete_user: DeleteUser,
    send: SendMessage,
    read: ReadMailbox,
    acknowledge: Acknowledge,
    poll: PollMessages,
    delete_messages: DeleteMessages,
}

/// A request, as a client makes it.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Register {
        name: Username,
        password: String,
    },
    LogIn {
        name: Username,
        password: String,
        device: Option<DeviceId>,
    },
    /// The number is the index of the send in `Oracle::sends`.
    Send(usize, SendRequest),
    Read {
        cursor: Cursor,
        count: usize,
        wait: Duration,
    },
    Acknowledge {
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
    },
    Poll {
        name: Username,
        password: String,
    },
    DeletePolled {
        name: Username,
        password: String,
        until: i64,
    },
    LogOut(SessionId),
    ChangePassword {
        old: String,
        new: String,
    },
    DeleteDevice(DeviceId),
    DeleteUser,
    Sweep,
}

#[derive(Debug)]
pub(crate) enum Answer {
    /// The session has ended, or never existed.
    Unauthorized,
    /// The username or the password is wrong.
    Denied,
    /// A port has failed.
    Failed,
    /// The request was refused for another reason. For example, a recipient of a send does not exist.
    Refused,
    Registered(Registered),
    LoggedIn(LoggedIn),
    Sent(Receipt),
    Page(MailboxPage),
    CursorRefused(CursorError),
    Acknowledged(SequenceNumber),
    Polled {
        device: DeviceId,
        messages: Vec<Message>,
        query_time: i64,
    },
    Done,
}

impl Replica {
    pub(crate) async fn start(
        shared: Arc<Shared>,
        randomness: Arc<CountingRandomness>,
        replica: usize,
    ) -> Result<Self, PortError> {
        let local = Arc::new(ReplicaClock { time: shared.time.clone(), replica });
        let store = Arc::new(ReplicaStore::new(shared, replica));
        let (keep_time, doubted) = KeepTime::start(local.clone(), store.clone()).await?;
        let clock = keep_time.clock();
        let notifier = Arc::new(store.notifier.clone());
        let hasher = Arc::new(PlainHasher);
        let room: Arc<Room> = Arc::default();
        Ok(Self {
            authenticate: Authenticate::new(store.clone(), hasher.clone()),
            check_token: CheckToken::new(store.clone()),
            register: RegisterUser::new(store.clone(), hasher.clone(), randomness.clone(), clock.clone(), room.clone()),
            log_in: LogIn::new(
                store.clone(),
                store.clone(),
                hasher.clone(),
                randomness.clone(),
                clock.clone(),
                room.clone(),
            ),
            end_session: EndSession::new(store.clone()),
            change_password: ChangePassword::new(store.clone(), hasher),
            delete_device: DeleteDevice::new(store.clone(), store.clone()),
            delete_user: DeleteUser::new(store.clone(), store.clone()),
            send: SendMessage::new(store.clone(), clock.clone(), LIMITS, room),
            read: ReadMailbox::new(store.clone(), store.clone(), notifier, clock.clone()),
            acknowledge: Acknowledge::new(store.clone()),
            poll: PollMessages::new(store.clone(), clock.clone()),
            delete_messages: DeleteMessages::new(store.clone()),
            sweep: Sweep::new(store.clone(), MemoryStore::stores().stream_tickets, clock.clone()),
            forget_keys: ForgetKeys::new(store.clone(), local),
            mark_restored: MarkRestored::new(store.clone(), randomness),
            keep_time,
            is_in_doubt: AtomicBool::new(doubted.is_some()),
            clock,
            store,
        })
    }

    /// Does what each server does periodically: compares the clock of this replica with the shared clock, stores the
    /// time, and forgets old keys. Sweeps are a separate [`Call`]. Returns whether the comparison succeeded. Ignores
    /// other failures, because the next call tries again.
    pub(crate) async fn upkeep(&self) -> bool {
        let compared = self.keep_time.execute().await;
        if let Ok(Some(change)) = compared {
            self.is_in_doubt.store(matches!(change, ClockChange::Doubted { .. }), Ordering::Relaxed);
        }
        if compared.is_ok() {
            let _ = self.keep_time.store_time().await;
        }
        let _ = self.forget_keys.execute().await;
        compared.is_ok()
    }

    /// Returns whether the replica knows that its time may be wrong.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt.load(Ordering::Relaxed)
    }

    /// Serves a request, as the HTTP API does. `token` is `None` for requests that need no session.
    pub(crate) async fn serve(&self, call: Call, token: Option<Token>) -> Answer {
        let caller = match (&call, &token) {
            (_, None) => return self.serve_anyone(call).await,
            (Call::Send(..), Some(token)) => self.check_token.recall(token).await,
            (_, Some(token)) => self.check_token.execute(token).await,
        };
        match caller {
            Ok(Some(caller)) => self.serve_session(call, &caller).await,
            Ok(None) => Answer::Unauthorized,
            Err(_) => Answer::Failed,
        }
    }

    async fn serve_anyone(&self, call: Call) -> Answer {
        match call {
            Call::Register { name, password } => {
                let registration = Registration {
                    username: name,
                    password: self::password(password),
                    public_key: PublicKey::default(),
                    private_key: None,
                    info: Info::default(),
                    device_name: DeviceName::default(),
                    log_in: true,
                };
                match self.register.execute(registration).await {
                    Ok(registered) => Answer::Registered(registered),
                    Err(RegisterUserError::UsernameTaken | RegisterUserError::StorageFull) => Answer::Refused,
                    Err(RegisterUserError::Port(_)) => Answer::Failed,
                }
            }
            Call::LogIn { name, password, device } => {
                let password = self::password(password);
                let login = Login { username: Some(name), password, device, device_name: DeviceName::default() };
                match self.log_in.execute(login).await {
                    Ok(logged_in) => Answer::LoggedIn(logged_in),
                    Err(LogInError::Denied) => Answer::Denied,
                    Err(LogInError::TooManyDevices | LogInError::StorageFull) => Answer::Refused,
                    Err(LogInError::Port(_)) => Answer::Failed,
                }
            }
            Call::Poll { name, password } => match self.authenticate(name, password).await {
                Ok(caller) => self.poll(&caller).await.unwrap_or(Answer::Failed),
                Err(answer) => answer,
            },
            Call::DeletePolled { name, password, until } => match self.authenticate(name, password).await {
                Ok(caller) => done(self.delete_messages.execute(&caller, until).await),
                Err(answer) => answer,
            },
            Call::Sweep => match self.sweep.execute().await {
                Ok(()) => done(self.forget_keys.execute().await),
                Err(_) => Answer::Failed,
            },
            _ => Answer::Unauthorized,
        }
    }

    async fn authenticate(&self, name: Username, password: String) -> Result<Caller, Answer> {
        self.authenticate.execute(Some(&name), &self::password(password)).await.map_err(|error| match error {
            AuthenticateError::Denied => Answer::Denied,
            AuthenticateError::Port(_) => Answer::Failed,
        })
    }

    async fn poll(&self, caller: &Caller) -> Result<Answer, PortError> {
        let Poll { mut messages, mut rest, query_time } = self.poll.execute(caller).await?;
        while let Some(of_second) = rest {
            let (more, then) = self.poll.next(caller, of_second).await?;
            messages.extend(more);
            rest = then;
        }
        Ok(Answer::Polled { device: caller.device, messages, query_time })
    }

    async fn serve_session(&self, call: Call, session: &SessionCaller) -> Answer {
        let caller = &session.caller;
        match call {
            Call::Send(_, request) => match self.send.execute(caller, Some(session.session), request).await {
                Ok(sent) => Answer::Sent(sent.receipt),
                Err(SendMessageError::SessionEnded) => Answer::Unauthorized,
                Err(SendMessageError::Port(_)) => Answer::Failed,
                Err(_) => Answer::Refused,
            },
            Call::Read { cursor, count, wait } => match self.read.execute(session, cursor, count, wait).await {
                Ok(page) => Answer::Page(page),
                Err(ReadMailboxError::SessionEnded) => Answer::Unauthorized,
                Err(ReadMailboxError::Cursor(error)) => Answer::CursorRefused(error),
                Err(ReadMailboxError::Port(_)) => Answer::Failed,
            },
            Call::Acknowledge { up_to, incarnation } => {
                match self.acknowledge.execute(caller, up_to, incarnation).await {
                    Ok(reached) => Answer::Acknowledged(reached),
                    Err(AcknowledgeError::Beyond(position)) => Answer::CursorRefused(CursorError::Ahead(position)),
                    Err(AcknowledgeError::OtherIncarnation(position)) => {
                        Answer::CursorRefused(CursorError::OtherIncarnation(position))
                    }
                    Err(AcknowledgeError::SessionEnded) => Answer::Unauthorized,
                    Err(AcknowledgeError::Port(_)) => Answer::Failed,
                }
            }
            Call::LogOut(id) => done(self.end_session.execute(caller, id).await),
            Call::ChangePassword { old, new } => {
                match self.change_password.execute(session, &password(old), &password(new)).await {
                    Ok(()) => Answer::Done,
                    Err(ChangePasswordError::WrongPassword) => Answer::Denied,
                    Err(ChangePasswordError::Port(_)) => Answer::Failed,
                }
            }
            Call::DeleteDevice(device) => done(self.delete_device.execute(caller, device).await),
            Call::DeleteUser => done(self.delete_user.execute(caller).await),
            _ => Answer::Refused,
        }
    }
}

fn password(text: String) -> Password {
    Password::new(text).unwrap()
}

fn done<T>(result: Result<T, PortError>) -> Answer {
    result.map_or(Answer::Failed, |_| Answer::Done)
}
