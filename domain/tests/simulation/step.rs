//! The steps of a simulation, and their generation from a seed.
//!
//! Steps refer to clients, replicas and requests by small numbers. A step that makes no sense when it runs does
//! nothing. So any steps can be left out of a sequence and the rest still runs, which shrinking needs.

use std::fmt;

use fastrand::Rng;

use crate::world::{CLIENTS, REPLICAS};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A client sends a request to a replica. If the client first has to register or log in, it sends the registration
    /// or the login instead.
    Request {
        client: usize,
        replica: usize,
        ask: Ask,
        /// If `true`, this step only starts the request, and later steps let it go on. If `false`, the request runs in
        /// this step until it is answered, or waits for a notification.
        in_flight: bool,
    },
    /// A request in flight goes on until its next access to the store.
    Progress(usize),
    /// A request in flight runs until it is answered, or waits for a notification.
    Finish(usize),
    /// The connection of a request in flight is cut.
    Cut(usize),
    /// The fault affects the next operation of a replica on the store. If it is `BeforeCommit` or `AfterCommit`, it
    /// affects the next write instead.
    Fault { replica: usize, fault: Fault },
    /// The next notification on its way to a replica arrives.
    Notify(usize),
    /// The next notification on its way to a replica is lost.
    Lose(usize),
    /// The next notification on its way to a replica arrives, and will arrive once more.
    Repeat(usize),
    /// All notifications arrive, and all requests run until they are answered, or wait for a notification.
    Settle,
    /// The given number of seconds passes. Meanwhile, the replicas compare their clocks with the shared clock.
    Advance(u64),
    /// The clock that all replicas share leaps, and is then wrong by the given number of seconds: ahead, or behind if
    /// negative. It is set right again within a quarter of an hour.
    Leap(i64),
    /// The machine of a replica is suspended for the given number of seconds.
    Suspend { replica: usize, seconds: u64 },
    /// From now on, several clocks may be wrong at once. Messages may then expire early, but all other promises hold.
    WrongClocks,
    /// A replica deletes what is no longer needed, idempotency keys included.
    Sweep { replica: usize, in_flight: bool },
    /// A replica is killed, and started again.
    Restart(usize),
    /// A backup of the store is made.
    Backup,
    /// The store is restored from the newest backup.
    Restore,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Sends a message to some of the users.
    Send {
        /// The recipients: bit *n* is set if the message is for user *n*.
        to: usize,
        /// The minimum size of the contents, in bytes.
        size: usize,
        keyed: bool,
        ttl: Option<u64>,
    },
    /// Sends another message with an idempotency key that the client has used already.
    ReuseKey,
    /// Repeats the client's last send that has an idempotency key.
    Retry,
    Read {
        from: Position,
        count: usize,
        wait: bool,
    },
    Acknowledge(Position),
    /// Reads messages with the classic API.
    Poll,
    /// Deletes the messages of the last poll with the classic API.
    DeletePolled,
    LogIn,
    LogOut,
    ChangePassword,
    /// Deletes the device of another client of the same user.
    DeleteDevice,
    DeleteUser,
}

/// The position in a mailbox that a request of a client names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// The last sequence number that the client has seen.
    Seen,
    /// The number before `Seen`.
    Before,
    /// The start of the mailbox. The request names no incarnation.
    Start,
    /// The last sequence number of the mailbox plus the given number. The request names no incarnation.
    Beyond(i64),
    /// The last sequence number that the client has seen. The request names a wrong incarnation.
    Elsewhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The store can't be reached.
    Unreachable,
    /// A write fails.
    BeforeCommit,
    /// A write succeeds, but the replica gets no answer.
    AfterCommit,
}

/// Formats a step as Rust code, to be copied into a regression test.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { client, replica, ask, in_flight } => {
                write!(f, "Request {{ client: {client}, replica: {replica}, ask: {ask:?}, in_flight: {in_flight} }}")
            }
            Self::Progress(request) => write!(f, "Progress({request})"),
            Self::Finish(request) => write!(f, "Finish({request})"),
            Self::Cut(request) => write!(f, "Cut({request})"),
            Self::Fault { replica, fault } => write!(f, "Fault {{ replica: {replica}, fault: {fault:?} }}"),
            Self::Notify(replica) => write!(f, "Notify({replica})"),
            Self::Lose(replica) => write!(f, "Lose({replica})"),
            Self::Repeat(replica) => write!(f, "Repeat({replica})"),
            Self::Settle => f.write_str("Settle"),
            Self::WrongClocks => f.write_str("WrongClocks"),
            Self::Advance(seconds) => write!(f, "Advance({seconds})"),
            Self::Leap(seconds) => write!(f, "Leap({seconds})"),
            Self::Suspend { replica, seconds } => write!(f, "Suspend {{ replica: {replica}, seconds: {seconds} }}"),
            Self::Sweep { replica, in_flight } => write!(f, "Sweep {{ replica: {replica}, in_flight: {in_flight} }}"),
            Self::Restart(replica) => write!(f, "Restart({replica})"),
            Self::Backup => f.write_str("Backup"),
            Self::Restore => f.write_str("Restore"),
        }
    }
}

/// Generates `count` steps from a seed. The seed also decides how frequent each kind of step is, and which kinds are
/// left out. So with some seeds, kinds that are usually rare occur often, and together.
pub(crate) fn generate(seed: u64, count: usize) -> Vec<Step> {
    let mut rng = Rng::with_seed(seed);
    let mut weigh = |most: u32| if rng.u8(..3) == 0 { 0 } else { rng.u32(1..=most) };
    let weights: [u32; KINDS] = [
        60,
        30,
        20, // requests and their progress
        weigh(6),
        weigh(12), // cuts and faults
        weigh(20) + 5,
        weigh(10),
        weigh(6),
        weigh(6) + 1, // notifications
        weigh(20) + 2,
        weigh(3),
        weigh(2), // time
        weigh(6) + 1,
        weigh(3),
        weigh(2),
        weigh(2), // sweeps, restarts, backups
    ];
    let asks: [u32; ASKS] = [
        30 + weigh(30),
        weigh(6),
        weigh(20),
        20 + weigh(30),
        10 + weigh(30),
        weigh(8),
        weigh(8),
        weigh(3),
        weigh(3),
        weigh(3),
        weigh(3),
        weigh(2),
    ];
    let total: u32 = weights.iter().sum();
    let total_asks: u32 = asks.iter().sum();
    let are_clocks_wrong = seed % 8 == 7;
    let first = are_clocks_wrong.then_some(Step::WrongClocks);
    let rest = (usize::from(are_clocks_wrong)..count).map(|_| {
        let kind = pick(&weights, rng.u32(..total));
        let ask = pick(&asks, rng.u32(..total_asks));
        step(&mut rng, kind, ask)
    });
    first.into_iter().chain(rest).collect()
}

const KINDS: usize = 16;
const ASKS: usize = 12;

fn pick(weights: &[u32], mut at: u32) -> usize {
    for (index, weight) in weights.iter().enumerate() {
        if at < *weight {
            return index;
        }
        at -= weight;
    }
    unreachable!("the number is below the sum of the weights")
}

fn step(rng: &mut Rng, kind: usize, ask: usize) -> Step {
    let replica = rng.usize(..REPLICAS);
    match kind {
        0 => Step::Request { client: rng.usize(..CLIENTS), replica, ask: self::ask(rng, ask), in_flight: rng.bool() },
        1 => Step::Progress(rng.usize(..8)),
        2 => Step::Finish(rng.usize(..8)),
        3 => Step::Cut(rng.usize(..8)),
        4 => {
            let faults = [Fault::Unreachable, Fault::BeforeCommit, Fault::AfterCommit, Fault::AfterCommit];
            Step::Fault { replica, fault: faults[rng.usize(..faults.len())] }
        }
        5 => Step::Notify(replica),
        6 => Step::Lose(replica),
        7 => Step::Repeat(replica),
        8 => Step::Settle,
        9 => Step::Advance([1, 1, 3, 10, 10, 60, 300, 900, 1800, 7200, 86_400][rng.usize(..11)]),
        10 => Step::Leap([3600, -3600, 86_400, -86_400, 31 * 86_400, -31 * 86_400][rng.usize(..6)]),
        11 => Step::Suspend { replica, seconds: [60, 900, 7200, 3 * 86_400][rng.usize(..4)] },
        12 => Step::Sweep { replica, in_flight: rng.bool() },
        13 => Step::Restart(replica),
        14 => Step::Backup,
        _ => Step::Restore,
    }
}

fn ask(rng: &mut Rng, kind: usize) -> Ask {
    match kind {
        0 => Ask::Send {
            to: rng.usize(1..8),
            size: rng.usize(..30),
            keyed: rng.bool(),
            ttl: [None, None, Some(60), Some(3600), Some(7200), Some(86_400)][rng.usize(..6)],
        },
        1 => Ask::ReuseKey,
        2 => Ask::Retry,
        3 => Ask::Read { from: position(rng), count: rng.usize(1..5), wait: rng.bool() },
        4 => Ask::Acknowledge(position(rng)),
        5 => Ask::Poll,
        6 => Ask::DeletePolled,
        7 => Ask::LogIn,
        8 => Ask::LogOut,
        9 => Ask::ChangePassword,
        10 => Ask::DeleteDevice,
        _ => Ask::DeleteUser,
    }
}

fn position(rng: &mut Rng) -> Position {
    match rng.u8(..16) {
        0 => Position::Beyond(rng.i64(0..3)),
        1 => Position::Elsewhere,
        2 | 3 => Position::Start,
        4 => Position::Before,
        _ => Position::Seen,
    }
}
