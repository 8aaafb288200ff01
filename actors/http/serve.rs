//! Listens, and answers on this thread.
//!
//! actix-web's own server has a thread that accepts and others that answer. Here both are this one: its connections are
//! few, and a thread costs memory that an idle daemon should not need.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::HttpConfig;
use super::guard::{Entrance, Rules, guard};
use super::routes::{self, Asked};
use crate::stop::StopListener;

/// Connections at once of the port, and of the socket. What is beyond waits in the system's queue.
const MOST_CONNECTIONS: usize = 64;
/// Bytes of a request's body: orders are short.
const MOST_BODY: usize = 64 << 10;
/// A request's head must be here by then, so that a silent caller keeps no place.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection stays open for another request: Prometheus asks each 15 s.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Before another try at an address that is taken, and between two looks for the socket's file.
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
                         it, `http.listen` says which: {cause}"
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
    answer_all(config, stop, Entrance::Port, accept).await;
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
                    while !config.socket.is_gone() || stop.begun() {
                        sleep(TRY_AGAIN).await;
                    }
                };
                tokio::select! {
                    () = answer_all(config, stop, Entrance::Socket, accept) => {}
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

/// Never returns but where the routes cannot be made.
async fn answer_all<T: AsyncRead + AsyncWrite + Unpin + 'static>(
    config: &Arc<HttpConfig>,
    stop: &StopListener,
    entrance: Entrance,
    accept: impl AsyncFn() -> io::Result<(T, Option<SocketAddr>)>,
) {
    let asked = Asked {
        config: Arc::clone(config),
        stop: stop.clone(),
    };
    let app = map_config(app(asked, entrance), |()| AppConfig::default());
    let factory = HttpService::build()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_PATIENCE)
        .h1::<_, BoxBody>(app);
    let Ok(service) = factory.new_service(()).await else {
        log::error!("http: the routes cannot be made");
        return std::future::pending().await;
    };
    let service = Rc::new(service);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // It is never closed.
        let place = Arc::clone(&places).acquire_owned().await;
        match accept().await {
            Ok(connection) => {
                let service = Rc::clone(&service);
                actix_rt::spawn(async move {
                    let _place = place;
                    if let Err(cause) = service.call(connection).await {
                        log::debug!("http: a connection ended: {cause}");
                    }
                });
            }
            Err(cause) => {
                log::debug!("http: no connection is accepted: {cause}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
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
        entrance,
    };
    App::new()
        .app_data(web::Data::new(asked))
        .app_data(web::PayloadConfig::new(MOST_BODY))
        .app_data(web::JsonConfig::default().limit(MOST_BODY))
        .wrap(from_fn(move |request, next| {
            guard(rules.clone(), request, next)
        }))
        .service(web::scope(&base_path).configure(routes::add))
        .default_service(web::to(routes::nothing_here))
}
