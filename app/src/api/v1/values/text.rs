use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use woosh_domain::model::{
    Contents, DeviceName, Incarnation, IncarnationError, Info, Password, PrivateKey, PublicKey, Username,
};

use crate::api::field_error::Reason;
use crate::api::query::FromParameter;

/// A domain type that is a string in JSON, and has a named schema in the OpenAPI document.
pub(in crate::api::v1) trait Scalar: Sized + Send + Sync {
    /// The name of the schema in the OpenAPI document.
    const NAME: &'static str;
    /// An example value.
    const EXAMPLE: &'static str;

    fn schema() -> MetaSchema;
    fn parse(text: String) -> Result<Self, Reason>;
    fn text(&self) -> Cow<'_, str>;
}

/// A string that is parsed into a domain type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api::v1) struct Text<T>(pub(in crate::api::v1) T);

impl<T: Scalar> Text<T> {
    fn new(text: String) -> Result<Self, Reason> {
        T::parse(text).map(Self)
    }

    /// Returns the example value for the OpenAPI document.
    pub(in crate::api::v1) fn example() -> Self {
        Self::new(T::EXAMPLE.to_owned()).unwrap_or_else(|reason| unreachable!("the example of {} {reason}", T::NAME))
    }
}

impl<T: Scalar> Type for Text<T> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(T::NAME.to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(T::NAME.to_owned(), |_| MetaSchema {
            example: Some(T::EXAMPLE.into()),
            ..T::schema()
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<'de, T: Scalar> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(Reason::into_serde)
    }
}

impl<T: Scalar> FromParameter for Text<T> {
    fn from_parameter(text: Option<&str>) -> Result<Self, Reason> {
        Self::new(text.ok_or(Reason::Missing)?.to_owned())
    }
}

impl<T: Scalar> ParseFromJSON for Text<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Self::new(text).map_err(ParseError::custom),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl<T: Scalar> ToJSON for Text<T> {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.text().into())
    }
}

impl<T: Scalar> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text())
    }
}

impl Scalar for Username {
    const NAME: &'static str = "Username";
    const EXAMPLE: &'static str = "alice";

    fn schema() -> MetaSchema {
        MetaSchema {
            description: Some(
                "Unique name of a user: 3 to 32 characters from `a-z`, `A-Z`, `0-9`, `_` and `-`. The server keeps upper and lower case as registered, but ignores case when it compares usernames.",
            ),
            pattern: Some("^[a-zA-Z0-9_-]{3,32}$".to_owned()),
            ..MetaSchema::new("string")
        }
    }

    fn parse(text: String) -> Result<Self, Reason> {
        Self::new(&text).map_err(|error| Reason::Invalid(error.reason()))
    }

    fn text(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl Scalar for Password {
    const NAME: &'static str = "Password";
    const EXAMPLE: &'static str = "a key derived from her password";

    fn schema() -> MetaSchema {
        MetaSchema {
            description: Some(
                "Password of a user, at most 4,096 bytes of UTF-8. If the client derives encryption keys from the \
                 password that the user types, do not send this password, because the server could then derive the \
                 keys. Instead, send a value that the client derives from the typed password, and from which nobody \
                 can derive the keys.",
            ),
            min_length: Some(1),
            max_length: Some(Self::MAX_BYTES),
            ..MetaSchema::new("string")
        }
    }

    fn parse(text: String) -> Result<Self, Reason> {
        Self::new(text).map_err(|error| Reason::Invalid(error.reason()))
    }

    fn text(&self) -> Cow<'_, str> {
        self.reveal().into()
    }
}

impl Scalar for Incarnation {
    const NAME: &'static str = "Incarnation";
    const EXAMPLE: &'static str = "5f0c1d7a93be4826";

    fn schema() -> MetaSchema {
        MetaSchema {
            description: Some(
                "Identifier of the current numbering of a mailbox, as 16 hexadecimal digits. A mailbox gets a new \
                 incarnation only if the server is restored from a backup, because the server then assigns some \
                 sequence numbers a second time, to other messages. Store the incarnation together with the last \
                 sequence number that you have processed, and pass both in requests. If the incarnation in a request \
                 is not the current incarnation, the server refuses the request.",
            ),
            pattern: Some("^[0-9a-f]{16}$".to_owned()),
            ..MetaSchema::new("string")
        }
    }

    fn parse(text: String) -> Result<Self, Reason> {
        text.parse().map_err(|error: IncarnationError| Reason::Invalid(error.to_string()))
    }

    fn text(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

macro_rules! opaque {
    ($type:ident, $example:literal, $description:literal) => {
        impl Scalar for $type {
            const NAME: &'static str = stringify!($type);
            const EXAMPLE: &'static str = $example;

            fn schema() -> MetaSchema {
                MetaSchema {
                    description: Some($description),
                    max_length: Some(Self::MAX_BYTES),
                    ..MetaSchema::new("string")
                }
            }

            fn parse(text: String) -> Result<Self, Reason> {
                Self::new(text).map_err(|error| Reason::Invalid(error.reason()))
            }

            fn text(&self) -> Cow<'_, str> {
                self.as_str().into()
            }
        }
    };
}

opaque!(
    PublicKey,
    "alice's public key",
    "Public key with which others encrypt messages to the user. The server stores the key without interpreting it. At most 16 KiB of UTF-8, counted after JSON decoding."
);
opaque!(
    PrivateKey,
    "alice's private key, encrypted",
    "Private key, encrypted by the client. The server can't decrypt it. At most 64 KiB of UTF-8, counted after JSON decoding."
);
opaque!(
    Info,
    "likes tea",
    "Private data of the user, which the server stores without interpreting it. At most 64 KiB of UTF-8, counted after JSON decoding."
);
opaque!(DeviceName, "alice's phone", "Display name of a device, at most 128 bytes of UTF-8.");
opaque!(
    Contents,
    "ciphertext",
    "Encrypted contents of a message. The server does not interpret them, and delivers them byte for byte. At most 64 KiB of UTF-8, counted after JSON decoding."
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::json::from_value;

    fn error<T: Scalar>(json: &str) -> String {
        from_value::<Text<T>>(serde_json::from_str(json).unwrap()).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn errors_do_not_name_the_field() {
        assert_eq!(error::<Username>("\"al\""), "is shorter than 3 characters");
        assert_eq!(error::<Username>("\"al ice\""), "has a character other than a-z, A-Z, 0-9, _ and -");
        assert_eq!(error::<Password>("\"\""), "is empty");
        assert_eq!(error::<DeviceName>(&format!("{:?}", "d".repeat(129))), "is longer than 128 bytes");
        for json in ["7", "null", "true", "[\"alice\"]"] {
            assert_eq!(error::<Username>(json), "has to be a string", "{json}");
        }
    }
}
