//! Sequences of steps that break a promise if a certain line of the code is missing. A failing simulation prints its
//! steps in the same form.

use crate::step::Ask::{Read, Retry, Send};
use crate::step::Fault::AfterCommit;
use crate::step::Position::Seen;
use crate::step::Step::{self, Advance, Fault, Finish, Leap, Lose, Progress, Request, Restart, Settle, Suspend, Sweep};

const SEND: Step =
    Request { client: 3, replica: 1, ask: Send { to: 7, size: 8, keyed: false, ttl: None }, in_flight: false };
const KEYED_SEND: Step =
    Request { client: 3, replica: 0, ask: Send { to: 7, size: 8, keyed: true, ttl: Some(3600) }, in_flight: true };
const RETRY: Step = Request { client: 3, replica: 0, ask: Retry, in_flight: true };
const WAIT: Step = Request { client: 0, replica: 1, ask: Read { from: Seen, count: 3, wait: true }, in_flight: true };

/// The sequences of steps, each with a text that says what the sequence tests.
pub(crate) const REGRESSIONS: [(&str, &[Step]); 8] = [
    (
        "a message arrives after the first look of a reader that will wait",
        &[WAIT, Progress(0), Progress(0), Progress(0), Progress(0), SEND, Finish(0)],
    ),
    (
        "the notification of a waiting reader is lost",
        &[
            Request { client: 0, replica: 0, ask: Read { from: Seen, count: 3, wait: true }, in_flight: false },
            SEND,
            Lose(0),
            Advance(30),
            Settle,
        ],
    ),
    (
        "a send and its repetition are in one batch",
        &[
            KEYED_SEND,
            RETRY,
            Progress(0),
            Progress(0),
            Progress(0),
            Progress(1),
            Progress(1),
            Progress(1),
            Finish(0),
            Finish(0),
        ],
    ),
    (
        "a send is repeated after its answer was lost",
        &[Fault { replica: 0, fault: AfterCommit }, KEYED_SEND, Finish(0), RETRY, Finish(0)],
    ),
    (
        "a message is sent right after a suspension",
        &[
            Suspend { replica: 0, seconds: 7200 },
            KEYED_SEND,
            Finish(0),
            Advance(60),
            Sweep { replica: 1, in_flight: false },
            Advance(1800),
            Sweep { replica: 0, in_flight: false },
        ],
    ),
    (
        "a replica that was suspended stores a key, and another one sweeps",
        &[
            Suspend { replica: 0, seconds: 259_200 },
            KEYED_SEND,
            Finish(0),
            Sweep { replica: 1, in_flight: false },
            RETRY,
            Finish(0),
        ],
    ),
    (
        "a replica that was suspended stores a key, and is restarted",
        &[
            Suspend { replica: 0, seconds: 259_200 },
            KEYED_SEND,
            Finish(0),
            Restart(0),
            Sweep { replica: 0, in_flight: false },
            RETRY,
            Finish(0),
        ],
    ),
    (
        "a replica starts while the shared clock is behind",
        &[
            Leap(-2_678_400),
            Advance(60),
            Restart(1),
            Request {
                client: 2,
                replica: 1,
                ask: Send { to: 6, size: 4, keyed: true, ttl: Some(60) },
                in_flight: false,
            },
            Request { client: 5, replica: 0, ask: Read { from: Seen, count: 1, wait: true }, in_flight: false },
        ],
    ),
];
