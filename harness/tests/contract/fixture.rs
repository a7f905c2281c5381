use woosh_domain::model::*;
use woosh_domain::ports::*;

/// Registers a user with one device and a session. Returns the mailbox of the device.
pub(crate) async fn add(stores: &Stores, name: &str) -> DeviceId {
    let mut bits = [0; 32];
    bits[..name.len()].copy_from_slice(name.as_bytes());
    let new = NewUser {
        username: Username::new(name).unwrap(),
        password_hash: PasswordHash::new("hash".to_owned()),
        public_key: PublicKey::new(String::new()).unwrap(),
        private_key: None,
        info: Info::new(String::new()).unwrap(),
        device_name: DeviceName::new(String::new()).unwrap(),
        incarnation: Incarnation::new(1),
        token: Some(Token::from_random(bits).hash()),
        created_at: now(),
    };
    stores.users.add(new).await.unwrap().unwrap().device.id
}

/// Returns a send of the same text to all recipients. The quota is one message per mailbox: a mailbox that has a
/// message already is full.
pub(crate) fn delivery(recipients: &[&str], key: Option<&str>) -> NewDelivery {
    let addressed = |name: &&str| AddressedContents {
        recipient: Username::new(name).unwrap(),
        contents: Contents::new("hello".to_owned()).unwrap(),
    };
    let recipients: Vec<_> = recipients.iter().map(addressed).collect();
    let fingerprint = Fingerprint::of(recipients.iter().map(|to| (&to.recipient, &to.contents)), None);
    NewDelivery {
        sender: Username::new("bob").unwrap(),
        sender_device: DeviceId::new(4711),
        session: None,
        recipients,
        now: now(),
        ttl_seconds: 60,
        quota: Quota { messages: 1, bytes: 1000 },
        idempotency: key.map(|key| (IdempotencyKey::new(key).unwrap(), fingerprint)),
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(1_700_000_000)
}
