use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::choices::Choices;
use super::ledger::SentMessage;
use super::{ATTEMPT, Attempt, Run};
use crate::client::Device;

/// Sends one message after another until the run tells all senders to stop. Retries each message until a server accepts
/// it.
pub(super) async fn send(run: &Run, device: &Device, mut choices: Choices) {
    let mut number = 0;
    while run.is_sending() {
        number += 1;
        let contents = format!("{}-{number}", device.name());
        // Half of the sends have one recipient, the other half all recipients.
        let recipients = match choices.chance(50) {
            true => run.recipients.clone(),
            false => vec![run.recipients[choices.index(run.recipients.len())].clone()],
        };
        let sent = SentMessage { sender: device.name().to_owned(), contents, recipients };
        let Some(receipt) = send_until_accepted(run, device, &mut choices, &sent).await else {
            return;
        };
        run.ledger().accept(sent.clone());
        run.accepted.fetch_add(1, Ordering::Relaxed);
        if receipt["undelivered"] != json!([]) {
            run.ledger().violate(format!("{sent:?} was not delivered to every device: {receipt}"));
        }
        if choices.chance(5)
            && let Some(again) = send_until_accepted(run, device, &mut choices, &sent).await
            && again != receipt
        {
            run.ledger().violate(format!("{sent:?} got the response {receipt} first, and {again} when repeated"));
        }
    }
}

/// Sends a message with one idempotency key, again and again until a server accepts it, and returns the receipt. If a
/// server refuses the message, or none accepts it within [`Conditions::limit`](super::Conditions::limit), records a
/// violation and returns `None`.
async fn send_until_accepted(run: &Run, device: &Device, choices: &mut Choices, sent: &SentMessage) -> Option<Value> {
    let recipients: Vec<_> = sent.recipients.iter().map(String::as_str).collect();
    let (start, limit) = (Instant::now(), run.conditions.limit);
    while start.elapsed() < limit {
        let request = device.at(run.url(choices)).send_request(&recipients, &sent.contents);
        let request = request.header("idempotency-key", format!("\"{}\"", sent.contents));
        // Some timeouts are so short that the request is dropped, before or after the server has stored the message.
        let timeout = if choices.chance(20) { choices.micros(0..8_000) } else { ATTEMPT };
        match run.attempt(request, timeout).await {
            Attempt::Answered(201, receipt) => return Some(receipt),
            Attempt::Answered(status, problem) => {
                run.ledger().violate(format!("{sent:?} was refused with {status}: {problem}"));
                return None;
            }
            Attempt::Unavailable => sleep(run.conditions.pause).await,
            Attempt::Dropped => {}
        }
        run.ledger().unanswered += 1;
    }
    run.ledger().violate(format!("{sent:?} was not accepted within {} seconds", limit.as_secs()));
    None
}
