use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON};
use serde::{Serialize, Serializer};
use serde_json::Value;
use woosh_domain::model::Timestamp;

use super::value;

/// A time, written in the format of RFC 3339: in UTC, with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api::v1) struct Time(Timestamp);

value! {
    [] Time, "time", MetaSchema::new_with_format("string", "date-time")
}

impl Time {
    /// Returns the example value for the OpenAPI document.
    pub(in crate::api::v1) fn example() -> Self {
        Self(Timestamp::from_micros(1_795_351_571_123_456))
    }

    fn text(self) -> String {
        let micros = self.0.micros();
        // RFC 3339 ends with the year 9999, so a later time is written as the latest possible one.
        let furthest = if micros < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        let time = jiff::Timestamp::from_microsecond(micros).unwrap_or(furthest);
        format!("{time:.6}")
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl ToJSON for Time {
    fn to_json(&self) -> Option<Value> {
        Some(self.text().into())
    }
}

impl ParseFromJSON for Time {
    fn parse_from_json(_: Option<Value>) -> ParseResult<Self> {
        Err(ParseError::custom("times are not accepted in requests"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (1_709_251_199_000_000, "2024-02-29T23:59:59.000000Z"),
            (1_709_251_200_000_000, "2024-03-01T00:00:00.000000Z"),
            (1_795_351_571_123_456, "2026-11-22T12:46:11.123456Z"),
            (4_102_444_799_999_999, "2099-12-31T23:59:59.999999Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(Time(Timestamp::from_micros(micros)).text(), text);
        }
    }
}
