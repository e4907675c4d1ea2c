//! What an application does with a message, and what it says about it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::message::MessageExt;

/// How consuming one message ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consume {
    /// Done: never again for this group.
    Success,
    /// Failed: the broker delivers it again later, and after the last attempt calls it dead.
    Later,
    /// Failed, with a delay level of its own; below 0 the message is dead at once.
    LaterAt(i32),
}

type Outcome = Pin<Box<dyn Future<Output = Consume> + Send>>;

/// A function that consumes messages, one at a time. A panic counts as [`Consume::Later`].
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(Arc<MessageExt>) -> Outcome + Send + Sync>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

impl Listener {
    /// A function that may block; it runs on the runtime's blocking threads.
    pub fn blocking(listen: impl Fn(&MessageExt) -> Consume + Send + Sync + 'static) -> Self {
        let listen = Arc::new(listen);
        Self::future(move |message| {
            let listen = Arc::clone(&listen);
            async move {
                let run = tokio::task::spawn_blocking(move || listen(&message));
                run.await.unwrap_or(Consume::Later)
            }
        })
    }

    /// A function that gives a future; it must not block.
    pub fn future<F, Fut>(listen: F) -> Self
    where
        F: Fn(Arc<MessageExt>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Consume> + Send + 'static,
    {
        Self(Arc::new(move |message| Box::pin(listen(message))))
    }

    /// Consumes one message.
    pub(super) fn consume(&self, message: Arc<MessageExt>) -> Outcome {
        (self.0)(message)
    }
}
