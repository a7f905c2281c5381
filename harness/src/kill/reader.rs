use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::dice::Dice;
use super::{ATTEMPT, LIMIT, PAUSE, Scene};
use crate::client::{Device, Events, Message, Page, answer};

/// Reads a mailbox and acknowledges what it has read, with all that can go wrong on a client's side.
pub(super) struct Reader<'a> {
    scene: &'a Scene,
    device: &'a Device,
    dice: Dice,
    /// What it has read last; none where it knows nothing and asks the server.
    position: Option<i64>,
    /// The highest number that it ever wanted to acknowledge: the server may or may not have done so.
    asked: i64,
    /// The highest number that the server said is acknowledged.
    confirmed: i64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(scene: &'a Scene, device: &'a Device, dice: Dice) -> Self {
        Self { scene, device, dice, position: None, asked: 0, confirmed: 0 }
    }

    /// Reads until all is sent, and then what is left.
    pub(super) async fn read(mut self, all_sent: watch::Receiver<bool>) {
        while !*all_sent.borrow() {
            if self.dice.chance(5) {
                self.position = None;
            }
            if self.dice.chance(40) {
                self.stream().await;
            } else {
                self.poll("wait=1").await;
            }
            if self.dice.chance(80) {
                self.acknowledge().await;
            }
        }
        let start = Instant::now();
        // All that was not acknowledged comes once more.
        self.position = None;
        while self.poll("").await != Some(false) {
            if start.elapsed() > LIMIT {
                self.violate(format!("not all could be read within {} seconds", LIMIT.as_secs()));
                return;
            }
        }
    }

    /// Reads a page, and gives whether there was something in it; none where no page came.
    async fn poll(&mut self, query: &str) -> Option<bool> {
        let limit = self.dice.within(1..60);
        let after = self.position.map(|position| format!("&after={position}")).unwrap_or_default();
        let request = self.device.mailbox(self.scene.url(&mut self.dice), &format!("{query}&limit={limit}{after}"));
        match timeout(self.timeout(), answer(request)).await {
            Ok(Some((200, page))) => match Page::parse(&page) {
                Ok(page) => {
                    let some = !page.messages.is_empty();
                    self.take_page(page);
                    return Some(some);
                }
                Err(error) => self.violate(format!("{error:#}")),
            },
            Ok(Some((status, problem))) if status != 503 => self.violate(format!("a page is {status}: {problem}")),
            _ => sleep(PAUSE).await,
        }
        None
    }

    fn take_page(&mut self, page: Page) {
        if page.gaps > 0 || !(self.confirmed..=self.asked).contains(&page.acknowledged) {
            let Page { gaps, acknowledged, up_to, .. } = page;
            let (confirmed, asked) = (self.confirmed, self.asked);
            self.violate(format!(
                "{confirmed} to {asked} are acknowledged, and a page up to {up_to} says {acknowledged}, with {gaps} gaps"
            ));
        }
        for message in page.messages {
            self.take(message);
        }
    }

    /// Reads some messages of the stream.
    async fn stream(&mut self) {
        let request = self.device.streaming(self.scene.url(&mut self.dice), self.position);
        let response = match timeout(self.timeout(), request.send()).await {
            Ok(Ok(response)) if response.status() == 200 => response,
            Ok(Ok(response)) if response.status() != 503 => return self.violate(format!("no stream: {response:?}")),
            _ => return sleep(PAUSE).await,
        };
        let mut events = Events::new(response);
        for _ in 0..self.dice.within(1..60) {
            match timeout(Duration::from_secs(1), events.next()).await {
                Ok(Ok(Some(message))) => self.take(message),
                Ok(Err(error)) if !error.is::<reqwest::Error>() => return self.violate(format!("{error:#}")),
                // It broke off with its server, or there is nothing for now.
                _ => return,
            }
        }
    }

    /// Acknowledges what it has read, or some of it.
    async fn acknowledge(&mut self) {
        let Some(position) = self.position else { return };
        let up_to = if self.dice.chance(80) { position } else { position - self.dice.within(0..10).cast_signed() };
        let up_to = up_to.max(0);
        self.asked = self.asked.max(up_to);
        let request = self.device.acknowledgement(self.scene.url(&mut self.dice), up_to);
        match timeout(self.timeout(), answer(request)).await {
            Ok(Some((200, answer))) => match answer["acknowledged"].as_i64() {
                Some(acknowledged) if (self.confirmed.max(up_to)..=self.asked).contains(&acknowledged) => {
                    self.confirmed = acknowledged;
                }
                _ => self.violate(format!("the acknowledgement of {up_to} was answered with {answer}")),
            },
            Ok(Some((status, problem))) if status != 503 => {
                self.violate(format!("the acknowledgement of {up_to} got {status}: {problem}"));
            }
            _ => {}
        }
    }

    /// Takes the next message, which has to follow the one before: what is between may only be missing where this reader
    /// has had it and may have acknowledged it.
    fn take(&mut self, message: Message) {
        let last = self.position.unwrap_or(self.confirmed);
        if message.sequence <= last || message.sequence > last.max(self.asked) + 1 {
            self.violate(format!("{} came after {last}, acknowledged at most {}", message.sequence, self.asked));
        }
        self.position = Some(message.sequence);
        self.scene.ledger().receive(self.device.name(), message);
    }

    /// How long to wait for an answer: sometimes not until it comes.
    fn timeout(&mut self) -> Duration {
        if self.dice.chance(15) { self.dice.micros(0..8_000) } else { ATTEMPT }
    }

    fn violate(&self, violation: String) {
        self.scene.ledger().violate(format!("{}: {violation}", self.device.name()));
    }
}
