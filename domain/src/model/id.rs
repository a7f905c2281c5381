//! Identifiers: integers that a store gives out once and never again.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Takes the identifier as a store gave it out.
            pub const fn new(value: i64) -> Self {
                Self(value)
            }

            /// The identifier as a number.
            pub fn get(self) -> i64 {
                self.0
            }
        }
    };
}

id! {
    /// Names a user.
    UserId
}
id! {
    /// Names a device, and its mailbox.
    DeviceId
}
id! {
    /// Names a session.
    SessionId
}
id! {
    /// Names a send: what it brings to each recipient has the same.
    MessageId
}
