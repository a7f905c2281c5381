//! The world of a simulation: two replicas on one store, the clients, their requests in flight, and time.
//!
//! Everything runs on one thread. A request in flight is a future, which goes on only if a step says so, from one
//! access to the store to the next. So the steps alone determine what happens.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use woosh_domain::fakes::{Backup, CountingRandomness, MemoryStore};
use woosh_domain::model::*;

use crate::answers::Start;
use crate::client::Clients;
use crate::defect::Defect;
use crate::oracle::{Check, Oracle, Truth};
use crate::replica::{Answer, Call, Replica};
use crate::step::{Ask, Step};
use crate::store::Shared;
use crate::time::VirtualTime;

pub(crate) const REPLICAS: usize = 2;
pub(crate) const USERS: usize = 3;
pub(crate) const CLIENTS_PER_USER: usize = 2;
pub(crate) const CLIENTS: usize = USERS * CLIENTS_PER_USER;

/// Maximum duration of a request. For a read that waits, the time that it asks to wait is added.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum number of requests in flight.
const MAX_REQUESTS: usize = 8;

pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    pub(crate) replicas: Vec<Arc<Replica>>,
    pub(crate) clients: Clients,
    pub(crate) requests: Vec<Request>,
    pub(crate) randomness: Arc<CountingRandomness>,
    pub(crate) backup: Option<(Backup, Truth)>,
    /// When the shared clock is set right again. `None` if it is right.
    pub(crate) leap_ends: Option<Timestamp>,
    /// A replica that was suspended, and has not compared its clock with the shared clock since.
    pub(crate) awakened: Option<usize>,
    /// The steps, requests and answers so far, as text. `None` if they are not recorded.
    trace: Option<Vec<String>>,
}

/// A request in flight.
pub(crate) struct Request {
    /// The client that made the request. `None` if the request is a task of the replica itself, such as a sweep.
    pub(crate) client: Option<usize>,
    pub(crate) replica: usize,
    pub(crate) call: Call,
    pub(crate) token: Option<Token>,
    pub(crate) start: Start,
    future: Pin<Box<dyn Future<Output = Answer>>>,
}

/// Runs a future to its end, without letting other requests run meanwhile.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

impl World {
    /// Starts the replicas, and logs all clients in.
    pub(crate) fn new(defect: Option<Defect>, is_traced: bool) -> Self {
        let time = Arc::new(VirtualTime::new());
        let shared = Arc::new(Shared {
            store: MemoryStore::default(),
            oracle: Mutex::new(Oracle::new(time.clone())),
            network: Mutex::default(),
            time,
            faults: Mutex::default(),
            defect,
        });
        let randomness = Arc::new(CountingRandomness::default());
        let start = |replica| Arc::new(run(Replica::start(shared.clone(), randomness.clone(), replica)).unwrap());
        let replicas = (0..REPLICAS).map(start).collect();
        let mut world = Self {
            shared,
            replicas,
            clients: Clients::new(),
            requests: Vec::new(),
            randomness,
            backup: None,
            leap_ends: None,
            awakened: None,
            trace: None,
        };
        (0..REPLICAS).for_each(|replica| world.upkeep(replica).unwrap());
        for client in (0..CLIENTS).chain(0..CLIENTS) {
            let login = Step::Request { client, replica: client % REPLICAS, ask: Ask::LogIn, in_flight: false };
            world.step(login).unwrap();
        }
        world.trace = is_traced.then(Vec::new);
        world
    }

    /// Returns the recorded steps, requests and answers, as text.
    pub(crate) fn into_trace(self) -> Vec<String> {
        self.trace.unwrap_or_default()
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    /// Runs a step, and checks that no promise is broken.
    pub(crate) fn step(&mut self, step: Step) -> Check {
        self.note(|| format!("{step:?}"));
        let done = self.run_step(step);
        self.first_violation(done)
    }

    /// Returns the violation that the oracle has remembered, if any, otherwise `found`. The violation of the oracle is
    /// the cause; `found` may be its consequence for a client.
    pub(crate) fn first_violation(&self, found: Check) -> Check {
        self.shared.oracle().violation.take().map_or(found, Err)
    }

    fn run_step(&mut self, step: Step) -> Check {
        match step {
            Step::Request { client, replica, ask, in_flight } => self.request(client, replica, ask, in_flight)?,
            Step::Progress(index) => self.progress(index).map(drop)?,
            Step::Finish(index) => self.finish(index)?,
            Step::Cut(index) if !self.requests.is_empty() => {
                self.requests.remove(index % self.requests.len());
            }
            Step::Fault { replica, fault } => self.shared.faults()[replica].next = Some(fault),
            Step::Notify(replica) => self.notify(replica, 1),
            Step::Lose(replica) => {
                let mut network = self.shared.network();
                if let Some(mailbox) = network.take(replica) {
                    network.lose(replica, mailbox);
                }
            }
            Step::Repeat(replica) => {
                let mut network = self.shared.network();
                if let Some(mailbox) = network.take(replica) {
                    self.replicas[replica].store.notifier.notify(mailbox, &[]);
                    network.send(replica, mailbox);
                }
            }
            Step::Settle => self.settle()?,
            Step::Advance(seconds) => self.advance(Duration::from_secs(seconds), None)?,
            Step::Leap(seconds) => self.leap(seconds),
            Step::WrongClocks => self.shared.oracle().are_clocks_wrong = true,
            // One clock is wrong at a time.
            Step::Suspend { replica, seconds } if self.leap_ends.is_none() || self.are_clocks_wrong() => {
                self.awakened = Some(replica);
                self.advance(Duration::from_secs(seconds), Some(replica))?;
            }
            Step::Sweep { replica, in_flight } => {
                self.start(None, replica, Call::Sweep, None);
                if !in_flight {
                    self.finish(self.requests.len() - 1)?;
                }
            }
            Step::Restart(replica) if self.may_start() => self.restart(replica)?,
            Step::Cut(_) | Step::Suspend { .. } | Step::Restart(_) => {}
            Step::Backup => {
                self.backup = Some((self.shared.store.backup(), self.shared.oracle().truth.clone()));
            }
            Step::Restore => self.restore()?,
        }
        Ok(())
    }

    fn request(&mut self, client: usize, replica: usize, ask: Ask, in_flight: bool) -> Check {
        let call = self.clients.call(client, ask, &mut self.shared.oracle());
        let Some((call, token)) = call else { return Ok(()) };
        if self.requests.len() >= MAX_REQUESTS {
            self.finish(0)?;
            // It may wait, until its client gives up.
            if self.requests.len() >= MAX_REQUESTS {
                self.requests.remove(0);
            }
        }
        self.start(Some(client), replica, call, token);
        if in_flight { Ok(()) } else { self.finish(self.requests.len() - 1) }
    }

    fn start(&mut self, client: Option<usize>, replica: usize, call: Call, token: Option<Token>) {
        self.note(|| format!("  client {client:?}: {call:?}"));
        let start = Start::of(&self.shared, replica, &*self.replicas[replica].clock, &call, token.as_ref());
        let server = self.replicas[replica].clone();
        let (served, own) = (call.clone(), token.clone());
        let future = Box::pin(async move { server.serve(served, own).await });
        self.requests.push(Request { client, replica, call, token, start, future });
    }

    /// Lets a request go on until its next access to the store. Returns whether it was answered.
    fn progress(&mut self, index: usize) -> Result<bool, crate::oracle::Violation> {
        if self.requests.is_empty() {
            return Ok(false);
        }
        let index = index % self.requests.len();
        let request = &mut self.requests[index];
        let Poll::Ready(answer) = request.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            return Ok(false);
        };
        let request = self.requests.remove(index);
        self.note(|| format!("  client {:?} gets {answer:?}", request.client));
        self.answered(&request, &answer)?;
        if let Some(client) = request.client {
            self.clients.learn(client, &request.call, request.token.as_ref(), &answer);
        }
        Ok(true)
    }

    /// Lets a request go on until it is answered, or waits for a notification.
    pub(crate) fn finish(&mut self, index: usize) -> Check {
        if self.requests.is_empty() {
            return Ok(());
        }
        let index = index % self.requests.len();
        // More than any request needs, unless it waits.
        for _ in 0..40 {
            if self.progress(index)? {
                return Ok(());
            }
        }
        self.check_waiting(index)
    }

    /// Delivers at most `most` notifications to a replica.
    fn notify(&self, replica: usize, most: usize) {
        let mut network = self.shared.network();
        let mailboxes = std::iter::from_fn(|| network.take(replica)).take(most);
        mailboxes.for_each(|mailbox| self.replicas[replica].store.notifier.notify(mailbox, &[]));
    }

    /// Delivers all notifications, and lets all requests go on until they are answered, or wait for a notification.
    pub(crate) fn settle(&mut self) -> Check {
        // Those that ran first may have been notified by those that ran last.
        for _ in 0..2 {
            for replica in 0..REPLICAS {
                self.notify(replica, usize::MAX);
            }
            for index in (0..self.requests.len()).rev() {
                self.finish(index)?;
            }
        }
        Ok(())
    }
}
