//! A request's body that can be sent again.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

/// The most that is kept for another attempt: the longest message that a gateway takes. A stream
/// that sent more before it was answered at all is not repeated.
const KEPT_BYTES: usize = 32 << 20;

/// The body of a call, which gives every attempt what the ones before it have sent, and from there
/// on what the caller still brings. Nothing is copied: what is kept are counted references.
///
/// While it lives, what is sent is kept; when the call is answered, it is dropped.
#[derive(Debug)]
pub(crate) struct Replay {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    source: Body,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    /// Whether there may be another attempt.
    keeps: bool,
    /// Something was sent that was not kept.
    lost: bool,
    /// Number of the attempt that may read. An earlier one may still be held by its connection.
    attempt: usize,
    /// Whether that attempt has read anything.
    read: bool,
}

impl Replay {
    pub(crate) fn new(source: Body) -> Self {
        let shared = Shared {
            source,
            kept: vec![],
            kept_bytes: 0,
            keeps: true,
            lost: false,
            attempt: 0,
            read: false,
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// Gives the body for the next attempt.
    pub(crate) fn attempt(&self) -> Body {
        let mut shared = self.shared.lock().unwrap();
        shared.attempt += 1;
        shared.read = false;
        Body::new(Attempt {
            shared: self.shared.clone(),
            number: shared.attempt,
            position: 0,
        })
    }

    /// Tells whether another attempt would send the same.
    pub(crate) fn can_repeat(&self) -> bool {
        !self.shared.lock().unwrap().lost
    }

    /// Tells whether the last attempt sent any of it. If not, the gateway cannot have done anything.
    pub(crate) fn was_read(&self) -> bool {
        self.shared.lock().unwrap().read
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.shared.lock().unwrap().keeps = false;
    }
}

/// The body of one attempt.
struct Attempt {
    shared: Arc<Mutex<Shared>>,
    number: usize,
    /// How many of the kept pieces it has given.
    position: usize,
}

impl http_body::Body for Attempt {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let mut shared = this.shared.lock().unwrap();
        if shared.attempt != this.number {
            return Poll::Ready(Some(Err(Status::cancelled("another attempt is under way"))));
        }
        shared.read = true;
        if let Some(piece) = shared.kept.get(this.position) {
            let piece = piece.clone();
            this.position += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if !shared.keeps {
            shared.kept = vec![];
            this.position = 0;
        }
        let Some(frame) = ready!(Pin::new(&mut shared.source).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let frame = frame?;
        if let Some(piece) = frame.data_ref().filter(|_| shared.keeps) {
            shared.kept_bytes += piece.len();
            if shared.kept_bytes <= KEPT_BYTES {
                let piece = piece.clone();
                shared.kept.push(piece);
                this.position += 1;
            } else {
                shared.kept = vec![];
                this.position = 0;
                shared.keeps = false;
                shared.lost = true;
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body::Body as _;

    use super::*;

    struct Pieces(VecDeque<Bytes>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn replay(pieces: impl IntoIterator<Item = Vec<u8>>) -> Replay {
        Replay::new(Body::new(Pieces(
            pieces.into_iter().map(Bytes::from).collect(),
        )))
    }

    /// Reads the next piece, `None` at the end.
    async fn next(body: &mut Body) -> Option<Result<Bytes, Status>> {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn another_attempt_sends_the_same_and_goes_on() {
        let replay = replay([vec![1], vec![2]]);
        let mut first = replay.attempt();
        assert_eq!(next(&mut first).await.unwrap().unwrap(), vec![1]);
        let mut second = replay.attempt();
        assert_eq!(next(&mut second).await.unwrap().unwrap(), vec![1]);
        assert_eq!(next(&mut second).await.unwrap().unwrap(), vec![2]);
        assert!(next(&mut second).await.is_none());
    }

    #[tokio::test]
    async fn an_earlier_attempt_takes_nothing_away() {
        let replay = replay([vec![1], vec![2]]);
        let mut first = replay.attempt();
        let mut second = replay.attempt();
        assert!(next(&mut first).await.unwrap().is_err());
        assert_eq!(next(&mut second).await.unwrap().unwrap(), vec![1]);
    }

    #[tokio::test]
    async fn what_an_attempt_never_asked_for_was_not_sent() {
        let replay = replay([vec![1]]);
        let mut first = replay.attempt();
        assert!(!replay.was_read());
        next(&mut first).await;
        assert!(replay.was_read());
        replay.attempt();
        assert!(!replay.was_read());
    }

    #[tokio::test]
    async fn too_long_a_body_is_not_repeated() {
        let replay = replay([vec![0; KEPT_BYTES], vec![1]]);
        let mut first = replay.attempt();
        next(&mut first).await;
        assert!(replay.can_repeat());
        next(&mut first).await;
        assert!(!replay.can_repeat());
    }

    #[tokio::test]
    async fn an_answered_call_keeps_nothing() {
        let replay = replay([vec![1], vec![2], vec![3]]);
        next(&mut replay.attempt()).await;
        let mut last = replay.attempt();
        let shared = replay.shared.clone();
        drop(replay);
        assert_eq!(
            next(&mut last).await.unwrap().unwrap(),
            vec![1],
            "kept, and not sent again yet"
        );
        assert_eq!(next(&mut last).await.unwrap().unwrap(), vec![2]);
        assert!(shared.lock().unwrap().kept.is_empty());
        assert_eq!(next(&mut last).await.unwrap().unwrap(), vec![3]);
    }
}
