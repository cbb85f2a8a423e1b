//! One HTTP/1.1 request on a connection of its own, bounded in size. Time is for the caller to bound.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why nothing did.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("connection failed: {0}")]
    Connection(#[from] std::io::Error),
    #[error("request failed: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("answer unreadable or larger than {0} bytes")]
    Body(usize),
}

/// Sends a request on a fresh connection and reads the whole answer.
pub(crate) async fn send<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    body_bytes_max: usize,
) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), body_bytes_max).collect().await;
        let body = body.map_err(|_| HttpError::Body(body_bytes_max))?.to_bytes();
        Ok(Answer { status, body })
    }
    .await;
    driver.abort();
    answer
}
