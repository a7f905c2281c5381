use std::time::Instant;

use serde_json::{Value, json};
use tokio::time::{self, sleep};

use super::dice::Dice;
use super::ledger::Sent;
use super::{ATTEMPT, LIMIT, PAUSE, Scene};
use crate::client::{Device, answer};

/// Sends one message after another, each again and again until it is accepted, to the end of the run.
pub(super) async fn send(scene: &Scene, device: &Device, mut dice: Dice, end: Instant) {
    let mut number = 0;
    while Instant::now() < end {
        number += 1;
        let contents = format!("{}-{number}", device.name());
        // To one of them, or to all in one send.
        let recipients = match dice.chance(50) {
            true => scene.recipients.clone(),
            false => vec![dice.pick(&scene.recipients).to_owned()],
        };
        let sent = Sent { sender: device.name().to_owned(), contents, recipients };
        let Some(receipt) = insist(scene, device, &mut dice, &sent).await else {
            return;
        };
        scene.ledger().accept(sent.clone());
        if receipt["undelivered"] != json!([]) {
            scene.ledger().violate(format!("{sent:?} was not delivered: {receipt}"));
        }
        if dice.chance(5)
            && let Some(again) = insist(scene, device, &mut dice, &sent).await
            && again != receipt
        {
            scene.ledger().violate(format!("{sent:?} was answered with {receipt} first, and then with {again}"));
        }
    }
}

/// Sends a message until it is accepted, and gives the receipt; none where that can't be.
async fn insist(scene: &Scene, device: &Device, dice: &mut Dice, sent: &Sent) -> Option<Value> {
    let recipients: Vec<_> = sent.recipients.iter().map(String::as_str).collect();
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        let request = device.message(scene.url(dice), &recipients, &sent.contents);
        let request = request.header("idempotency-key", format!("\"{}\"", sent.contents));
        // Some hang up, before or after the send was stored.
        let timeout = if dice.chance(20) { dice.micros(0..8_000) } else { ATTEMPT };
        match time::timeout(timeout, answer(request)).await {
            Ok(Some((201, receipt))) => return Some(receipt),
            Ok(Some((status, problem))) if status != 503 => {
                scene.ledger().violate(format!("{sent:?} got {status}: {problem}"));
                return None;
            }
            Ok(_) => sleep(PAUSE).await,
            Err(_) => {}
        }
        scene.ledger().unanswered += 1;
    }
    scene.ledger().violate(format!("{sent:?} was not accepted within {} seconds", LIMIT.as_secs()));
    None
}
