//! The first bytes of a connection: whether it is encrypted. tokio-postgres would ask the server by itself, and would then
//! read a connection in clear through no stream of ours; so it is set to negotiate nothing, and that is done here.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::states::{SqlStates, Watched};

type Encrypted = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
type Handshake = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

/// Asks for an encrypted connection: a length of 8 bytes, and a number that no version of the protocol has.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// The server's answer when it agrees.
const AGREED: u8 = b'S';

/// Why there is no connection; known by its type.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAgreement {
    /// The server's TLS is not what the address asks for; so it is each time.
    #[error("{0}")]
    Refused(String),
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

/// Negotiates by the configuration, which from here on asks tokio-postgres for nothing.
pub(super) struct Negotiator {
    tls: MakeRustlsConnect,
    mode: SslMode,
    negotiation: SslNegotiation,
    states: SqlStates,
}

impl Negotiator {
    pub(super) fn take_over(
        config: &mut Config,
        tls: MakeRustlsConnect,
        states: SqlStates,
    ) -> Self {
        let (mode, negotiation) = (config.get_ssl_mode(), config.get_ssl_negotiation());
        // Then the first thing that is done with a connection is `Negotiation::connect`.
        config
            .ssl_mode(SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct);
        Self {
            tls,
            mode,
            negotiation,
            states,
        }
    }
}

impl MakeTlsConnect<Socket> for Negotiator {
    type Stream = Watched<Transport>;
    type TlsConnect = Negotiation;
    type Error = Box<dyn Error + Send + Sync>;

    fn make_tls_connect(&mut self, host: &str) -> Result<Negotiation, Self::Error> {
        let handshake = match self.mode {
            SslMode::Disable => None,
            _ => Some(MakeTlsConnect::<Socket>::make_tls_connect(
                &mut self.tls,
                host,
            )?),
        };
        Ok(Negotiation {
            handshake,
            mode: self.mode,
            negotiation: self.negotiation,
            states: self.states.clone(),
        })
    }
}

/// One connection's.
pub(super) struct Negotiation {
    handshake: Option<Handshake>,
    mode: SslMode,
    negotiation: SslNegotiation,
    states: SqlStates,
}

impl TlsConnect<Socket> for Negotiation {
    type Stream = Watched<Transport>;
    type Error = NoAgreement;
    type Future = BoxFuture<'static, Result<Watched<Transport>, NoAgreement>>;

    fn connect(self, stream: Socket) -> Self::Future {
        let states = self.states.clone();
        async move { Ok(Watched::new(self.agree(stream).await?, states)) }.boxed()
    }
}

impl Negotiation {
    async fn agree(self, mut stream: Socket) -> Result<Transport, NoAgreement> {
        let Some(handshake) = self.handshake else {
            return Ok(Transport::Clear(stream));
        };
        if self.negotiation == SslNegotiation::Postgres {
            stream.write_all(&SSL_REQUEST).await?;
            let answer = stream.read_u8().await?;
            match self.mode {
                _ if answer == AGREED => {}
                SslMode::Require => {
                    let why = "the server does not support TLS, and the address asks for it";
                    return Err(NoAgreement::Refused(why.to_owned()));
                }
                _ => return Ok(Transport::Clear(stream)),
            }
        }
        let encrypted = handshake.connect(stream).await.map_err(judged)?;
        Ok(Transport::Encrypted(Box::new(encrypted)))
    }
}

fn judged(error: io::Error) -> NoAgreement {
    let of_tls = error
        .get_ref()
        .is_some_and(|cause| cause.is::<rustls::Error>());
    match of_tls {
        true => NoAgreement::Refused(format!("TLS handshake: {error}")),
        false => NoAgreement::Broken(error),
    }
}

/// What the messages go through.
pub(super) enum Transport {
    Clear(Socket),
    Encrypted(Box<Encrypted>),
}

macro_rules! on_either {
    ($transport:expr, $stream:ident => $call:expr) => {
        match $transport.get_mut() {
            Transport::Clear(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Transport::Encrypted(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_shutdown(context))
    }
}

impl TlsStream for Watched<Transport> {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.stream {
            Transport::Clear(_) => ChannelBinding::none(),
            Transport::Encrypted(stream) => stream.channel_binding(),
        }
    }
}
