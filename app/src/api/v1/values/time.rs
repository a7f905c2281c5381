use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON};
use serde_json::Value;
use woosh_domain::model::Timestamp;

use super::value;

/// A moment as RFC 3339 has it: in UTC, with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api::v1) struct Time(Timestamp);

value! {
    [] Time, "time", MetaSchema::new_with_format("string", "date-time")
}

impl Time {
    /// What it may look like.
    pub(in crate::api::v1) fn example() -> Self {
        Self(Timestamp::from_micros(1_795_351_571_123_456))
    }

    fn text(self) -> String {
        let seconds = self.0.seconds();
        let (year, month, day) = date(seconds.div_euclid(SECONDS_PER_DAY));
        let time = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let micros = self.0.micros().rem_euclid(1_000_000);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl From<Timestamp> for Time {
    fn from(moment: Timestamp) -> Self {
        Self(moment)
    }
}

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// The year, month and day of a day since the Unix epoch
/// ([how](https://howardhinnant.github.io/date_algorithms.html#civil_from_days)).
fn date(day: i64) -> (i64, i64, i64) {
    // Counted from the first of March of the year 0, so that a leap day ends its year.
    let day = day + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    (if month <= 2 { year + 1 } else { year }, month, date)
}

impl ToJSON for Time {
    fn to_json(&self) -> Option<Value> {
        Some(self.text().into())
    }
}

impl ParseFromJSON for Time {
    fn parse_from_json(_: Option<Value>) -> ParseResult<Self> {
        Err(ParseError::custom("no request has a time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_the_microsecond() {
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
