//! Identifiers: integers that a store assigns and never reuses.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Wraps an identifier that a store assigned.
            pub const fn new(value: i64) -> Self {
                Self(value)
            }

            /// Returns the identifier as a number.
            pub fn get(self) -> i64 {
                self.0
            }
        }
    };
}

id! {
    /// Identifies a user.
    UserId
}
id! {
    /// Identifies a device and its mailbox.
    DeviceId
}
id! {
    /// Identifies a session.
    SessionId
}
id! {
    /// Identifies a send. The messages to all recipients of a send have the same identifier.
    MessageId
}
