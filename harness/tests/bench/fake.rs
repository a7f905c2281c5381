//! A fake server for tests of the benchmark. It keeps messages in memory, and can misbehave in one selected way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::web::{Data, Json, Query, TypedHeader, headers};
use poem::{EndpointExt as _, IntoResponse as _, Response, Route, Server, get, handler, post};
use serde::Deserialize;
use serde_json::{Value, json};

/// How the fake server misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Answers each send with a body that is not JSON.
    Garbage,
    /// Answers each send with status 503.
    Refuse,
    /// Leaves out the eleventh message of a mailbox when the mailbox is read.
    Drop,
    /// Loses every message after the tenth message of a mailbox.
    DropLast,
    /// Changes the contents of the eleventh message of a mailbox.
    Alter,
    /// Swaps the eleventh message of a mailbox with the next message of the same sender.
    Swap,
    /// Returns the eleventh message of a mailbox twice.
    Repeat,
}

pub(crate) struct FakeServer {
    pub(crate) url: String,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct State {
    fault: Option<Fault>,
    /// The messages of each user, by username. The username also serves as the token.
    mailboxes: Arc<Mutex<HashMap<String, Vec<String>>>>,
}

type Token = TypedHeader<headers::Authorization<headers::authorization::Bearer>>;

impl FakeServer {
    pub(crate) fn start(fault: Option<Fault>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        listener.set_nonblocking(true)?;
        let state = State { fault, mailboxes: Arc::default() };
        let routes = Route::new()
            .at("/v1/users", post(register))
            .at("/v1/messages", post(send))
            .at("/v1/mailbox", get(read))
            .at("/v1/mailbox/ack", post(acknowledge))
            .data(state);
        runtime.spawn(async move {
            let acceptor = TcpAcceptor::from_std(listener).unwrap();
            Server::new_with_acceptor(acceptor).run(routes).await
        });
        Ok(Self { url, _runtime: runtime })
    }
}

#[handler]
fn register(Json(user): Json<Value>) -> Response {
    let name = &user["username"];
    let body = json!({ "user_id": 1, "token": name, "device": { "id": 1 }, "session": { "id": 1 } });
    Json(body).with_status(StatusCode::CREATED).into_response()
}

#[handler]
fn send(Json(message): Json<Value>, Data(state): Data<&State>) -> Response {
    match state.fault {
        Some(Fault::Garbage) => return "stored".with_status(StatusCode::CREATED).into_response(),
        Some(Fault::Refuse) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => {}
    }
    let mut mailboxes = state.mailboxes.lock().unwrap();
    for recipient in message["recipients"].as_array().unwrap() {
        let [name, contents] = ["username", "contents"].map(|field| recipient[field].as_str().unwrap().to_owned());
        let mailbox = mailboxes.entry(name).or_default();
        match state.fault {
            Some(Fault::DropLast) if mailbox.len() >= 10 => {}
            _ => mailbox.push(contents),
        }
    }
    Json(json!({ "id": 1, "undelivered": [] })).with_status(StatusCode::CREATED).into_response()
}

#[derive(Deserialize)]
struct Range {
    after: usize,
    limit: usize,
}

#[handler]
async fn read(Query(range): Query<Range>, TypedHeader(token): Token, Data(state): Data<&State>) -> Json<Value> {
    let mut mailbox = state.mailboxes.lock().unwrap().get(token.token()).cloned().unwrap_or_default();
    if mailbox.len() > 12 {
        match state.fault {
            Some(Fault::Drop) => drop(mailbox.remove(10)),
            Some(Fault::Alter) => mailbox[10] = mailbox[10].replace('.', "!"),
            Some(Fault::Swap) => {
                // Swaps two messages of the same sender, because only these have to be in order.
                let next = (11..mailbox.len()).find(|next| mailbox[*next][..5] == mailbox[10][..5]);
                mailbox.swap(10, next.unwrap());
            }
            Some(Fault::Repeat) => mailbox.insert(10, mailbox[10].clone()),
            _ => {}
        }
    }
    if mailbox.len() <= range.after {
        // A short delay in place of the `wait` of a long poll.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let messages = mailbox.into_iter().enumerate().skip(range.after).take(range.limit);
    let messages: Vec<_> =
        messages.map(|(index, contents)| json!({ "sequence": index + 1, "contents": contents })).collect();
    let up_to = range.after + messages.len();
    Json(json!({ "messages": messages, "gaps": [], "acknowledged": 0, "up_to": up_to, "has_more": false }))
}

#[handler]
fn acknowledge(Json(body): Json<Value>) -> Json<Value> {
    Json(json!({ "acknowledged": body["up_to"] }))
}
