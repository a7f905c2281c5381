use std::sync::Arc;

use poem::Request;
use woosh_adapters::clock::SystemClock;
use woosh_adapters::database::Database;
use woosh_adapters::password::{Argon2idHasher, RememberingHasher};
use woosh_domain::ports::{Clock, PasswordHasher, PortError};
use woosh_domain::use_cases::{
    Authenticate, DeleteMessages, FindUser, PollMessages, RegisterUser, SendMessage, UpdateUser,
};

/// All that the operations can ask for.
pub(crate) struct Services {
    pub(crate) authenticate: Authenticate,
    pub(crate) register_user: RegisterUser,
    pub(crate) find_user: FindUser,
    pub(crate) update_user: UpdateUser,
    pub(crate) send_message: SendMessage,
    pub(crate) poll_messages: PollMessages,
    pub(crate) delete_messages: DeleteMessages,
    pub(crate) database: Database,
}

impl Services {
    /// Wires the use cases to the system's clock, Argon2id and a database.
    pub(crate) fn new(database: Database) -> Result<Self, PortError> {
        let stores = database.stores();
        let (users, mailboxes) = (stores.users, stores.mailboxes);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let hasher: Arc<dyn PasswordHasher> = Arc::new(RememberingHasher::new(Argon2idHasher::new(), clock.clone())?);
        Ok(Self {
            authenticate: Authenticate::new(users.clone(), hasher.clone()),
            register_user: RegisterUser::new(users.clone(), hasher, clock.clone()),
            find_user: FindUser::new(users.clone()),
            update_user: UpdateUser::new(users),
            send_message: SendMessage::new(mailboxes.clone(), clock.clone()),
            poll_messages: PollMessages::new(mailboxes.clone(), clock),
            delete_messages: DeleteMessages::new(mailboxes),
            database,
        })
    }

    /// The services that every request carries.
    pub(crate) fn of(request: &Request) -> poem::Result<&Self> {
        let services = request.data::<Arc<Self>>();
        Ok(services.ok_or_else(|| poem::error::InternalServerError(MissingServices))?.as_ref())
    }
}

/// A request came past the layer that adds the services.
#[derive(Debug, thiserror::Error)]
#[error("the request carries no services")]
struct MissingServices;
