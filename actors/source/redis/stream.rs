//! Connections that measure the silence of their server.
//!
//! A reply may take as long as the transfer of its bytes: on a slow link a few megabytes take longer than any server should
//! need for an answer. A server is away when no byte comes from it, so the bytes must be noted as they come. The library's
//! own limit is for whole replies.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    RedisResult, ScriptInvocation,
};
use futures_util::FutureExt;
use futures_util::future::select_ok;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::Fault;

/// The longest that opening a connection takes: enough across a continent. A server that needs longer is away.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest silence of a server. Other programs' slow commands take less; after it the server is away.
pub(super) const LONGEST_SILENCE: Duration = Duration::from_secs(5);

/// The time to read the bytes that have come already, and more.
const CATCHING_UP: Duration = Duration::from_millis(200);

/// Why a server that is silent is away.
pub(super) const SILENT: &str = "it did not answer in time";

/// When the last byte came.
#[derive(Debug)]
pub(super) struct LastByte {
    since: Instant,
    /// Milliseconds.
    after: AtomicU64,
}

impl LastByte {
    pub(super) fn now() -> Arc<Self> {
        Arc::new(Self {
            since: Instant::now(),
            after: AtomicU64::new(0),
        })
    }

    fn note(&self) {
        let after = self.since.elapsed().as_millis();
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        self.after.store(after, Ordering::Relaxed);
    }

    fn at(&self) -> Instant {
        self.since + Duration::from_millis(self.after.load(Ordering::Relaxed))
    }

    /// The time since the last byte.
    pub(super) fn silence(&self) -> Duration {
        self.at().elapsed()
    }

    /// Waits for an answer while bytes come.
    pub(super) async fn wait_for<T>(
        &self,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, Fault> {
        let asked = Instant::now();
        let mut answer = pin!(answer);
        loop {
            let until = self.at().max(asked) + LONGEST_SILENCE;
            tokio::select! {
                biased;
                answered = &mut answer => return answered.map_err(|cause| Fault::of(&cause)),
                () = tokio::time::sleep_until(until) => {
                    // This process itself may have been stopped: the bytes that have come since are read first.
                    if let Ok(answered) = tokio::time::timeout(CATCHING_UP, &mut answer).await {
                        return answered.map_err(|cause| Fault::of(&cause));
                    }
                    if self.at().max(asked).elapsed() >= LONGEST_SILENCE {
                        return Err(Fault::Away(SILENT.to_owned()));
                    }
                }
            }
        }
    }
}

/// A connection, and when the last byte came on it.
pub(super) struct Attentive {
    redis: MultiplexedConnection,
    last_byte: Arc<LastByte>,
    driver: AbortHandle,
}

/// Ends the task of the connection, also when it waits for a server that hangs.
impl Drop for Attentive {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Attentive {
    /// `server` notes the bytes of all connections to the server.
    pub(super) async fn open(info: &ConnectionInfo, server: &Arc<LastByte>) -> RedisResult<Self> {
        match info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                Self::on(info, tcp(host, *port).await?, server).await
            }
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            } => Self::on(info, tls(host, *port).await?, server).await,
            ConnectionAddr::Unix(path) => {
                Self::on(info, UnixStream::connect(path).await?, server).await
            }
            _ => {
                let why = "TLS that does not check the server's certificate is not supported";
                Err((ErrorKind::InvalidClientConfig, why).into())
            }
        }
    }

    pub(super) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, Fault> {
        let answer = command.query_async(&mut self.redis);
        self.last_byte.wait_for(answer).await
    }

    /// Sends a query. None: it was refused with this code.
    pub(super) async fn query_unless<T: FromRedisValue>(
        &mut self,
        command: &Cmd,
        code: &str,
    ) -> Result<Option<T>, Fault> {
        let redis = &mut self.redis;
        let answer = async move {
            match command.query_async(redis).await {
                Ok(answer) => Ok(Some(answer)),
                Err(cause) if cause.code() == Some(code) => Ok(None),
                Err(cause) => Err(cause),
            }
        };
        self.last_byte.wait_for(answer).await
    }

    pub(super) async fn run<T: FromRedisValue>(
        &mut self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Fault> {
        let answer = script.invoke_async(&mut self.redis);
        self.last_byte.wait_for(answer).await
    }

    /// As [`Attentive::run`], while others use the connection too.
    pub(super) async fn run_beside<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Fault> {
        let mut redis = self.redis.clone();
        self.last_byte
            .wait_for(script.invoke_async(&mut redis))
            .await
    }

    async fn on<S>(info: &ConnectionInfo, stream: S, server: &Arc<LastByte>) -> RedisResult<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let last_byte = LastByte::now();
        let stream = Watched {
            stream,
            last_byte: Arc::clone(&last_byte),
            server: Arc::clone(server),
        };
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (redis, driver) =
            MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await?;
        Ok(Self {
            redis,
            last_byte,
            driver: tokio::spawn(driver).abort_handle(),
        })
    }
}

/// Connects to all addresses of the host at once: an address that leads nowhere delays no other.
async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = lookup_host((host, port)).await?;
    let tries: Vec<_> = addresses
        .map(|address| TcpStream::connect(address).boxed())
        .collect();
    if tries.is_empty() {
        return Err(io::Error::other("its host has no address"));
    }
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "it cannot be reached in time");
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, select_ok(tries)).await;
    let (stream, _) = connected.map_err(late)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The certificate must be one that the system trusts.
async fn tls(host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = tcp(host, port).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Notes when bytes come.
struct Watched<S> {
    stream: S,
    last_byte: Arc<LastByte>,
    server: Arc<LastByte>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.last_byte.note();
            self.server.note();
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        // A long request is on its way, so its answer is not late yet. That proves nothing about the server.
        self.last_byte.note();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
