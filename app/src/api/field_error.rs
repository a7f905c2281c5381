//! Errors about an invalid field of a request body or an invalid parameter. An error contains the location of the value
//! and the reason as typed values; the client receives both as one text.

use std::borrow::Cow;
use std::fmt;

use poem::error::ResponseError;
use poem::http::StatusCode;
use serde::de::{self, Expected, Unexpected};

/// Why a value is invalid. The text of a reason continues a sentence that starts with the name of the field, such as
/// "username is empty". The text never repeats the value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// A required parameter is missing.
    Missing,
    /// The JSON object lacks a required field.
    MissingField(&'static str),
    /// The value has the wrong type or is out of range.
    WrongType {
        /// The expected type with its article, such as "a string".
        expected: Cow<'static, str>,
    },
    /// The value breaks another rule, such as the maximum length of a username. Contains the text of the reason.
    Invalid(String),
}

impl Reason {
    pub(super) const fn wrong_type(expected: &'static str) -> Self {
        Self::WrongType { expected: Cow::Borrowed(expected) }
    }

    /// Converts the reason to an error of a deserializer.
    pub(super) fn into_serde<E: de::Error>(self) -> E {
        match self {
            Self::WrongType { expected } => E::invalid_type(Unexpected::Other("value"), &expected.as_ref()),
            Self::MissingField(field) => E::missing_field(field),
            reason @ (Self::Missing | Self::Invalid(_)) => E::custom(reason),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::MissingField(field) => write!(f, "missing field `{field}`"),
            Self::WrongType { expected } => write!(f, "has to be {expected}"),
            Self::Invalid(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Reason {}

/// Lets the deserializer [`Json`](super::json::Json) return a [`Reason`] as its error. The reason omits the value that
/// serde reports, because the value may be a secret.
impl de::Error for Reason {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Invalid(reason.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingField(field)
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = match expected.to_string() {
            // serde calls an array a sequence; clients know the JSON term.
            sequence if sequence == "a sequence" => Cow::Borrowed("an array"),
            other => Cow::Owned(other),
        };
        Self::WrongType { expected }
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::WrongType { expected: expected.to_string().into() }
    }
}

/// The location of an invalid value in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// The body itself, and not one of its fields.
    Body,
    /// The path of a field in the body, such as `recipients[0].username`.
    Field(String),
    /// A query parameter.
    Parameter(&'static str),
}

/// An invalid field or parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldError {
    pub(super) location: Location,
    pub(super) reason: Reason,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = &self.reason;
        match &self.location {
            Location::Body => reason.fmt(f),
            Location::Field(path) => write!(f, "{path} {reason}"),
            Location::Parameter(name) => write!(f, "parameter {name} {reason}"),
        }
    }
}

impl std::error::Error for FieldError {}

impl ResponseError for FieldError {
    fn status(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}
