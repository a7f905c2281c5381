use std::sync::Arc;

use poem::Request;
use woosh_adapters::database::Database;
use woosh_adapters::password::{Argon2idHasher, CachingHasher};
use woosh_adapters::randomness::SystemRandomness;
use woosh_domain::model::Limits;
use woosh_domain::ports::{PasswordHasher, PortError, Randomness, Stores};
use woosh_domain::use_cases::{
    Acknowledge, Authenticate, ChangePassword, CheckToken, CreateStreamTicket, DeleteDevice, DeleteMessages,
    DeleteUser, EndSession, FindUser, ForgetKeys, KeepTime, ListDevices, ListSessions, LogIn, MarkRestored,
    PollMessages, ReadMailbox, RegisterUser, SearchUsers, SendMessage, Sweep, TakeStreamTicket, UpdateUser, WatchDisk,
};

use crate::health::Health;

/// All use cases, connected to their adapters, and the database. All requests share this value.
pub(crate) struct Services {
    pub(crate) acknowledge: Acknowledge,
    pub(crate) authenticate: Authenticate,
    pub(crate) change_password: ChangePassword,
    pub(crate) check_token: CheckToken,
    pub(crate) create_stream_ticket: CreateStreamTicket,
    pub(crate) delete_device: DeleteDevice,
    pub(crate) delete_messages: DeleteMessages,
    pub(crate) delete_user: DeleteUser,
    pub(crate) end_session: EndSession,
    pub(crate) find_user: FindUser,
    pub(crate) forget_keys: ForgetKeys,
    pub(crate) keep_time: KeepTime,
    pub(crate) list_devices: ListDevices,
    pub(crate) list_sessions: ListSessions,
    pub(crate) log_in: LogIn,
    pub(crate) poll_messages: PollMessages,
    pub(crate) read_mailbox: ReadMailbox,
    pub(crate) register_user: RegisterUser,
    pub(crate) search_users: SearchUsers,
    pub(crate) send_message: SendMessage,
    pub(crate) sweep: Sweep,
    pub(crate) take_stream_ticket: TakeStreamTicket,
    pub(crate) update_user: UpdateUser,
    pub(crate) watch_disk: WatchDisk,
    pub(crate) health: Health,
    pub(crate) database: Database,
}

impl Services {
    /// Connects the use cases to their adapters: to the database, to the clock that `keep_time` checks, to the
    /// randomness of the operating system, and to the password hasher Argon2id. Fails if the operating system provides
    /// no random bytes.
    pub(crate) fn new(database: Database, keep_time: KeepTime, limits: Limits) -> Result<Self, PortError> {
        let Stores { users, devices, sessions, stream_tickets, mailboxes, notifier, time: _, disk } = database.stores();
        let clock = keep_time.clock();
        let watch_disk = WatchDisk::new(disk, limits.min_free_space);
        let room = watch_disk.room();
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let hasher: Arc<dyn PasswordHasher> = Arc::new(CachingHasher::new(Argon2idHasher::new(), clock.clone())?);
        Ok(Self {
            acknowledge: Acknowledge::new(mailboxes.clone()),
            authenticate: Authenticate::new(users.clone(), hasher.clone()),
            change_password: ChangePassword::new(users.clone(), hasher.clone()),
            check_token: CheckToken::new(sessions.clone()),
            create_stream_ticket: CreateStreamTicket::new(stream_tickets.clone(), randomness.clone(), clock.clone()),
            take_stream_ticket: TakeStreamTicket::new(stream_tickets.clone(), sessions.clone(), clock.clone()),
            delete_device: DeleteDevice::new(devices.clone(), mailboxes.clone()),
            delete_messages: DeleteMessages::new(mailboxes.clone()),
            delete_user: DeleteUser::new(users.clone(), mailboxes.clone()),
            end_session: EndSession::new(sessions.clone()),
            find_user: FindUser::new(users.clone()),
            forget_keys: ForgetKeys::new(mailboxes.clone(), keep_time.local_clock()),
            keep_time,
            list_devices: ListDevices::new(devices),
            list_sessions: ListSessions::new(sessions.clone()),
            log_in: LogIn::new(
                users.clone(),
                sessions.clone(),
                hasher.clone(),
                randomness.clone(),
                clock.clone(),
                room.clone(),
            ),
            poll_messages: PollMessages::new(mailboxes.clone(), clock.clone()),
            read_mailbox: ReadMailbox::new(mailboxes.clone(), sessions, notifier, clock.clone()),
            register_user: RegisterUser::new(users.clone(), hasher, randomness, clock.clone(), room.clone()),
            search_users: SearchUsers::new(users.clone(), limits.search),
            send_message: SendMessage::new(mailboxes.clone(), clock.clone(), limits, room.clone()),
            sweep: Sweep::new(mailboxes, stream_tickets, clock),
            update_user: UpdateUser::new(users, room),
            watch_disk,
            health: Health::new(database.clone()),
            database,
        })
    }

    /// Creates the use case of the command `restored`, which runs without a server.
    pub(crate) fn mark_restored(database: &Database) -> MarkRestored {
        MarkRestored::new(database.stores().mailboxes, Arc::new(SystemRandomness))
    }

    /// Ends all long polls and streams, so that shutting down does not wait for them.
    pub(crate) fn stop(&self) {
        self.database.stop_waiting();
    }

    /// Returns whether the server is stopping.
    pub(crate) fn is_stopping(&self) -> bool {
        self.database.is_stopping()
    }

    /// Returns the services that the middleware attached to the request.
    pub(crate) fn from_request(request: &Request) -> poem::Result<&Self> {
        let services = request.data::<Arc<Self>>();
        Ok(services.ok_or_else(|| poem::error::InternalServerError(MissingServices))?.as_ref())
    }
}

/// No middleware attached the services to the request. This is a fault in the wiring of the API.
#[derive(Debug, thiserror::Error)]
#[error("no services are attached to the request")]
struct MissingServices;
