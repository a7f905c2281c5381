//! Texts that are opaque to the server. The server limits their length, and stores them byte for byte (D10).

use std::fmt;

/// The text is longer than its field allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {}", self.reason())]
pub struct TooLong {
    /// The name of the field.
    pub field: &'static str,
    /// Maximum length of the field in bytes of UTF-8.
    pub limit: usize,
}

impl TooLong {
    /// Returns the error message without the name of the field.
    pub fn reason(self) -> String {
        format!("is longer than {} bytes", self.limit)
    }
}

macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal) => {
        $(#[$doc])*
        ///
        /// Any text of at most [`Self::MAX_BYTES`] bytes of UTF-8; empty by default. `Debug` output hides the text.
        #[derive(Clone, PartialEq, Eq, Default)]
        pub struct $name(String);

        impl $name {
            /// Maximum length in bytes of UTF-8.
            pub const MAX_BYTES: usize = $max;

            /// Validates a text.
            ///
            /// # Errors
            ///
            /// If the text is longer than [`Self::MAX_BYTES`].
            pub fn new(text: String) -> Result<Self, TooLong> {
                if text.len() > Self::MAX_BYTES {
                    return Err(TooLong { field: $field, limit: Self::MAX_BYTES });
                }
                Ok(Self(text))
            }

            /// Returns the text unchanged.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Converts the value into its text, unchanged.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }
    };
}

opaque! {
    /// A user's public key, with which others encrypt messages to the user.
    PublicKey, "public_key", 16_384
}
opaque! {
    /// A user's private key, encrypted by the client; part of the vault.
    PrivateKey, "private_key", 65_536
}
opaque! {
    /// Private data of a user's client; part of the vault.
    Info, "info", 65_536
}
opaque! {
    /// The contents of a message: ciphertext that the server never reads.
    Contents, "contents", 65_536
}

opaque! {
    /// The name that a user chose for a device.
    DeviceName, "device_name", 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_accepted_up_to_its_limit_and_rejected_one_byte_above() {
        assert!(Contents::new("c".repeat(64 * 1024)).is_ok());
        assert_eq!(
            Contents::new("c".repeat(64 * 1024 + 1)).unwrap_err().to_string(),
            "contents is longer than 65536 bytes"
        );
        assert!(PublicKey::new("k".repeat(16 * 1024)).is_ok());
        assert_eq!(PublicKey::new("k".repeat(16 * 1024 + 1)), Err(TooLong { field: "public_key", limit: 16 * 1024 }));
    }

    #[test]
    fn the_limit_counts_bytes_not_characters() {
        assert!(Contents::new("é".repeat(32 * 1024)).is_ok());
        assert!(Contents::new("é".repeat(32 * 1024 + 1)).is_err());
    }

    #[test]
    fn debug_output_hides_the_text() {
        let contents = Contents::new("attack at dawn".to_owned()).unwrap();
        assert_eq!(format!("{contents:?}"), "Contents(14 bytes)");
    }
}
