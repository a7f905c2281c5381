use anyhow::ensure;
use serde_json::Value;

/// Fails unless the value is a time in the format of v1: RFC 3339 in UTC, with microseconds.
pub(super) fn ensure_time(value: &Value) -> anyhow::Result<()> {
    let text = value.as_str().unwrap_or_default();
    let shape: String = text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    ensure!(shape == "0000-00-00T00:00:00.000000Z", "{value} is not a time");
    Ok(())
}
