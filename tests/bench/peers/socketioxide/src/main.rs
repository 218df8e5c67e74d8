//! socketioxide with the gateway's clients; events are read from the gateway's plain channels in
//! Redis and emitted to the rooms of this process.
use std::{env, error::Error};

use futures_util::StreamExt;
use jsonwebtoken::{decode, Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use socketioxide::{
    extract::{AckSender, Data, SocketRef},
    handler::ConnectHandler,
    SocketIo,
};
use tokio::net::TcpSocket;

const BACKLOG: u32 = 4096;

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Clone, Deserialize)]
struct Claims {
    sub: String,
    address: String,
}

#[derive(Deserialize)]
struct Place {
    room: String,
    id: String,
}

#[derive(Serialize)]
struct Answer {
    success: bool,
    room: String,
    message: String,
}

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// Refuses whoever has no good token; keeps the claims of the others.
async fn authenticate(
    socket: SocketRef,
    Data(auth): Data<Auth>,
) -> Result<(), jsonwebtoken::errors::Error> {
    let key = DecodingKey::from_secret(setting("JWT_SECRET").as_bytes());
    let token = decode::<Claims>(&auth.token, &key, &Validation::new(Algorithm::HS256))?;
    socket.extensions.insert(token.claims);
    Ok(())
}

async fn welcome(socket: SocketRef) {
    let claims: Claims = socket.extensions.get().expect("authenticate has put it there");
    let rooms = vec![format!("user:{}", claims.address), "global:all".to_string()];
    socket.join(rooms.clone());
    socket.join(format!("user:{}", claims.sub));
    socket.on("subscribe", subscribe);
    let greeting = json!({"message": "Connected", "userId": claims.sub, "rooms": rooms});
    socket.emit("connected", &greeting).ok();
}

async fn subscribe(socket: SocketRef, Data(place): Data<Place>, ack: AckSender) {
    let room = format!("{}:{}", place.room, place.id);
    socket.join(room.clone());
    let message = format!("Subscribed to {room}");
    ack.send(&Answer { success: true, room, message }).ok();
}

/// A message: a header line that names the event and its room, and the payload.
async fn emit(io: &SocketIo, message: &str) -> Option<()> {
    let (header, payload) = message.split_once('\n')?;
    let mut words = header.split(' ').skip(2);
    let (event, room) = (words.next()?, words.next()?);
    let payload: Value = serde_json::from_str(payload).ok()?;
    io.to(room.to_string()).emit(event, &payload).await.ok()
}

async fn hear(io: SocketIo) -> Result<(), redis::RedisError> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", setting("REDIS_PORT")))?;
    let mut subscriber = client.get_async_pubsub().await?;
    subscriber.psubscribe("guesslyfe:{0}:room:market:*").await?;
    let mut messages = subscriber.into_on_message();
    while let Some(message) = messages.next().await {
        emit(&io, &message.get_payload::<String>()?).await;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", welcome.with(authenticate));
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(format!("127.0.0.1:{}", setting("PORT")).parse()?)?;
    let listener = socket.listen(BACKLOG)?;
    tokio::spawn(async move {
        if let Err(error) = hear(io).await {
            eprintln!("Redis: {error}");
            std::process::exit(1);
        }
    });
    axum::serve(listener, axum::Router::new().layer(layer)).await?;
    Ok(())
}
