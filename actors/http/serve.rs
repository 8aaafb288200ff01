//! Listens, and answers on this thread.
//!
//! actix-web's own server has a thread that accepts and others that answer. Here both are this one: its connections are
//! few, and a thread costs memory that an idle daemon should not need.
//!
//! **Nobody keeps others out.** A connection carries one request and is closed behind its answer. It ends after
//! [`LONGEST_CONNECTION`] whatever it does: a caller that sends nothing, half a request, or reads no answer. Where all
//! places are taken, a new connection takes that of the oldest, so a probe is answered while others hold every place.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::guard::{Entrance, MOST_BODY, Rules, User, guard};
use super::page;
use super::routes::{self, Asked};
use super::{HttpConfig, api};
use crate::stop::StopListener;

/// Connections at once of the port, and of the socket.
const MOST_CONNECTIONS: usize = 64;
/// A request's head must be here by then, so that a silent caller keeps no place.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// From the connection to the last byte of the answer. The state of thousands of queues is some megabytes, and may be read
/// over a slow line.
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);
/// Before another try at an address that is taken, and between two checks for the socket's file.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// After a failed accept, which means that this process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers for as long as the process lives.
pub(super) async fn serve(config: Arc<HttpConfig>, stop: StopListener) {
    let port = async {
        if let Some(address) = config.settings.listen {
            serve_port(&config, &stop, address).await;
        }
    };
    tokio::join!(port, serve_socket(&config, &stop));
}

/// One warning where the address is taken, and a line when it no longer is.
async fn serve_port(config: &Arc<HttpConfig>, stop: &StopListener, address: SocketAddr) {
    let mut is_warned = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(cause) => {
                if !std::mem::replace(&mut is_warned, true) {
                    log::warn!(
                        "http: {address} cannot be listened on, and is tried again until it can; another daemon may have \
                         it, `http.listen` decides which: {cause}"
                    );
                }
                sleep(TRY_AGAIN).await;
            }
        }
    };
    let address = listener.local_addr().unwrap_or(address);
    log::info!(
        "http: listening on http://{address}{}",
        config.settings.base_path
    );
    let accept = async || {
        let (stream, peer) = listener.accept().await?;
        Ok((stream, Some(peer)))
    };
    answer_all(config, stop, Entrance::Port, accept, |_| None).await;
}

/// Binds again when the file is gone.
async fn serve_socket(config: &Arc<HttpConfig>, stop: &StopListener) {
    let mut is_warned = false;
    loop {
        match config.socket.bind() {
            Ok(listener) => {
                let accept = async || {
                    let (stream, _) = listener.accept().await?;
                    Ok((stream, None))
                };
                let gone = async {
                    while stop.begun() || !config.socket.is_free().await {
                        sleep(TRY_AGAIN).await;
                    }
                };
                tokio::select! {
                    () = answer_all(config, stop, Entrance::Socket, accept, user) => {}
                    () = gone => {}
                }
            }
            Err(cause) => {
                if !std::mem::replace(&mut is_warned, true) {
                    let path = config.socket.path().display();
                    log::warn!(
                        "http: no socket at `{path}`, `status` does not reach this daemon: {cause}"
                    );
                }
                sleep(TRY_AGAIN).await;
            }
        }
    }
}

/// The other end of a connection over the socket.
fn user(stream: &UnixStream) -> Option<User> {
    let peer = stream.peer_cred().ok()?;
    Some(User { uid: peer.uid() })
}

/// Never returns but where the routes cannot be made.
pub(super) async fn answer_all<T: AsyncRead + AsyncWrite + Unpin + 'static>(
    config: &Arc<HttpConfig>,
    stop: &StopListener,
    entrance: Entrance,
    accept: impl AsyncFn() -> io::Result<(T, Option<SocketAddr>)>,
    user: fn(&T) -> Option<User>,
) {
    let asked = Asked {
        config: Arc::clone(config),
        stop: stop.clone(),
    };
    let app = map_config(app(asked, entrance), |()| AppConfig::default());
    let factory = HttpService::build()
        .keep_alive(KeepAlive::Disabled)
        .client_request_timeout(HEAD_PATIENCE)
        .on_connect_ext(move |stream, data| {
            if let Some(user) = user(stream) {
                data.insert(user);
            }
        })
        .h1::<_, BoxBody>(app);
    let Ok(service) = factory.new_service(()).await else {
        log::error!("http: the routes cannot be made");
        return std::future::pending().await;
    };
    let service = Rc::new(service);
    let mut connections = Connections::default();
    loop {
        match accept().await {
            Ok(connection) => {
                let service = Rc::clone(&service);
                connections.add(actix_rt::spawn(async move {
                    match timeout(LONGEST_CONNECTION, service.call(connection)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(cause)) => log::debug!("http: a connection ended: {cause}"),
                        Err(_) => log::debug!("http: a connection lasted for too long"),
                    }
                }));
            }
            Err(cause) => {
                log::debug!("http: no connection is accepted: {cause}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The connections that there are, the oldest first. They end with this.
#[derive(Default)]
struct Connections(VecDeque<JoinHandle<()>>);

impl Connections {
    /// Where there is no place for one more, the oldest ends.
    fn add(&mut self, connection: JoinHandle<()>) {
        self.0.retain(|connection| !connection.is_finished());
        if self.0.len() >= MOST_CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            log::debug!("http: more than {MOST_CONNECTIONS} connections, the oldest ends");
            oldest.abort();
        }
        self.0.push_back(connection);
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// All routes behind the guard. Over the socket they have no base path.
pub(super) fn app(
    asked: Asked,
    entrance: Entrance,
) -> App<
    impl ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let settings = asked.config.settings.clone();
    let base_path = match entrance {
        Entrance::Port => settings.base_path.trim_end_matches('/').to_owned(),
        Entrance::Socket => String::new(),
    };
    let rules = Rules {
        settings: Arc::new(settings),
        base_path: base_path.clone(),
        entrance,
    };
    App::new()
        .app_data(web::Data::new(asked))
        .app_data(web::Data::new(page::Place::new(&base_path)))
        .app_data(web::PayloadConfig::new(MOST_BODY))
        .app_data(web::JsonConfig::default().limit(MOST_BODY))
        .app_data(web::FormConfig::default().limit(MOST_BODY))
        .wrap(from_fn(move |request, next| {
            guard(rules.clone(), request, next)
        }))
        .service(
            web::scope(&base_path)
                .configure(api::add)
                .configure(routes::add)
                .configure(page::add),
        )
        .default_service(web::to(routes::nothing_here))
}
