//! LISTEN and NOTIFY: messages between sessions of one database.
//!
//! A notification is sent when its transaction commits. Each listener has a queue; a session that listens
//! looks into its own before it tells the client that it is ready, and every few moments while it waits.

use super::{Session, Transaction};
use crate::sql::error::Result;
use pgwire::messages::response::NotificationResponse;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a session that listens looks for messages while its client is silent.
pub(super) const LISTEN_SLICE: Duration = Duration::from_millis(100);
/// A listener that never reads loses the oldest messages beyond this many.
const QUEUE: usize = 100_000;

/// A message: the sender's number, the channel, the text.
type Message = (i32, String, String);

/// Who listens to what, in all databases.
#[derive(Default)]
pub struct Channels {
    listeners: Mutex<HashMap<i32, Listener>>,
}

#[derive(Default)]
struct Listener {
    database: String,
    channels: HashSet<String>,
    queue: Vec<Message>,
}

impl Channels {
    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a session.
    pub fn leave(&self, pid: i32) {
        self.lock().remove(&pid);
    }

    fn listen(&self, pid: i32, database: &str, channel: &str) {
        let mut listeners = self.lock();
        let listener = listeners.entry(pid).or_default();
        database.clone_into(&mut listener.database);
        listener.channels.insert(channel.to_owned());
    }

    fn unlisten(&self, pid: i32, channel: Option<&str>) -> bool {
        let mut listeners = self.lock();
        let Some(listener) = listeners.get_mut(&pid) else { return false };
        match channel {
            Some(channel) => {
                listener.channels.remove(channel);
            }
            None => listener.channels.clear(),
        }
        !listener.channels.is_empty()
    }

    fn send(&self, database: &str, messages: &[Message]) {
        for listener in self.lock().values_mut().filter(|listener| listener.database == database) {
            let heard = messages.iter().filter(|(_, channel, _)| listener.channels.contains(channel));
            listener.queue.extend(heard.cloned());
            let excess = listener.queue.len().saturating_sub(QUEUE);
            listener.queue.drain(..excess);
        }
    }

    fn receive(&self, pid: i32) -> Vec<Message> {
        self.lock().get_mut(&pid).map(|listener| std::mem::take(&mut listener.queue)).unwrap_or_default()
    }
}

impl Session {
    pub(super) fn listen(&mut self, channel: &str) {
        self.server.channels.listen(self.seat.pid, self.connection.database(), channel);
        self.listening = true;
    }

    pub(super) fn unlisten(&mut self, channel: Option<&str>) {
        self.listening = self.server.channels.unlisten(self.seat.pid, channel);
    }

    /// Keeps a message until the transaction commits; the same one twice is sent once.
    pub(super) fn notify(&mut self, channel: &str, text: &str) {
        let message = (self.seat.pid, channel.to_owned(), text.to_owned());
        if !self.notifications.contains(&message) {
            self.notifications.push(message);
        }
    }

    /// The transaction is over: its messages go out, or nowhere.
    pub(super) fn settle_notifications(&mut self, committed: bool) {
        let messages = std::mem::take(&mut self.notifications);
        if committed && !messages.is_empty() {
            self.server.channels.send(self.connection.database(), &messages);
        }
    }

    /// Gives the client what has come for it; says whether there was anything.
    pub(super) fn deliver(&mut self) -> Result<bool> {
        if !self.listening || self.transaction != Transaction::Idle {
            return Ok(false);
        }
        let messages = self.server.channels.receive(self.seat.pid);
        for (pid, channel, text) in &messages {
            self.wire.put(&NotificationResponse::new(*pid, channel.clone(), text.clone()))?;
        }
        Ok(!messages.is_empty())
    }
}
