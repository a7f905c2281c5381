use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use woosh_domain::model::{Contents, DeviceName, Info, Password, PrivateKey, PublicKey, Username};

use crate::api::body::text;

/// A type of the domain that is a string on the wire, and a component in the document.
pub(in crate::api::v1) trait Scalar: Sized + Send + Sync {
    /// What it is called in the document.
    const NAME: &'static str;
    /// What it may look like.
    const EXAMPLE: &'static str;

    fn schema() -> MetaSchema;
    fn parse(text: String) -> Result<Self, String>;
    fn as_str(&self) -> &str;
}

/// A string that is a value of the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api::v1) struct Text<T>(pub(in crate::api::v1) T);

impl<T: Scalar> Text<T> {
    fn new(text: String) -> Result<Self, String> {
        // The domain's words start with the name of a field. The one that the text came in may have another.
        let reason = |text: String| text.split_once(' ').map(|(_, reason)| reason.to_owned()).unwrap_or(text);
        T::parse(text).map(Self).map_err(reason)
    }

    /// What it may look like.
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
        Self::new(text(deserializer)?).map_err(de::Error::custom)
    }
}

impl<T: Scalar> ParseFromParameter for Text<T> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::new(value.to_owned()).map_err(ParseError::custom)
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
        Some(self.0.as_str().into())
    }
}

impl Scalar for Username {
    const NAME: &'static str = "Username";
    const EXAMPLE: &'static str = "alice";

    fn schema() -> MetaSchema {
        MetaSchema {
            description: Some("Names a user. It keeps its letters; looking it up ignores their case."),
            pattern: Some("^[a-zA-Z0-9_-]{3,32}$".to_owned()),
            ..MetaSchema::new("string")
        }
    }

    fn parse(text: String) -> Result<Self, String> {
        Self::new(&text).map_err(|error| error.to_string())
    }

    fn as_str(&self) -> &str {
        self.as_str()
    }
}

impl Scalar for Password {
    const NAME: &'static str = "Password";
    const EXAMPLE: &'static str = "a key derived from her password";

    fn schema() -> MetaSchema {
        MetaSchema {
            description: Some("What a user logs in with: at most 4,096 bytes."),
            min_length: Some(1),
            max_length: Some(Self::MAX_BYTES),
            ..MetaSchema::new("string")
        }
    }

    fn parse(text: String) -> Result<Self, String> {
        Self::new(text).map_err(|error| error.to_string())
    }

    fn as_str(&self) -> &str {
        self.reveal()
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

            fn parse(text: String) -> Result<Self, String> {
                Self::new(text).map_err(|error| error.to_string())
            }

            fn as_str(&self) -> &str {
                self.as_str()
            }
        }
    };
}

opaque!(PublicKey, "alice's public key", "What others encrypt for a user with: at most 16 KiB.");
opaque!(PrivateKey, "alice's private key, encrypted", "A private key as the client encrypted it: at most 64 KiB.");
opaque!(Info, "likes tea", "Whatever a client keeps for itself: at most 64 KiB.");
opaque!(DeviceName, "alice's phone", "What a new device is called: at most 128 bytes.");
opaque!(Contents, "ciphertext", "What the sender's client encrypted: at most 64 KiB.");

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T: Scalar>(json: &str) -> String {
        serde_json::from_str::<Text<T>>(json).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_text_is_said_without_its_field() {
        assert_eq!(error::<Username>("\"al\""), "is shorter than 3 characters");
        assert_eq!(error::<Username>("\"al ice\""), "has a character other than a-z, A-Z, 0-9, _ and -");
        assert_eq!(error::<Password>("\"\""), "is empty");
        assert_eq!(error::<DeviceName>(&format!("{:?}", "d".repeat(129))), "is longer than 128 bytes");
        for json in ["7", "null", "true", "[\"alice\"]"] {
            assert_eq!(error::<Username>(json), "has to be a string", "{json}");
        }
    }
}
