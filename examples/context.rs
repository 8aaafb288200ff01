//! What a context gives: to handlers the databases, Redis servers and Kafka clusters of the settings, and to code that is
//! no handler the delay queue.
//!
//! The own code listens on `app.listen` of the settings, where that is given. Each line that it receives is a task to
//! push, `HOW:PARAMS`, answered with the task's id: `here` pushes it in place, `thread` from a thread of its own, `actor`
//! from an actor. `fail`, `panic` and `linger` show how own code ends. The task `note` appends its params to the file
//! `notes`.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, Addr, Handler, ResponseFuture};
use bb8_redis::redis;
use diesel::{SqliteConnection, sql_query};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl};
use rdkafka::producer::FutureRecord;
use serde::Deserialize;
use simplest_script::{
    App, BoxError, Context, JobError, JobResult, Json, Push, PushError, PushItem, Task,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// For a record to be stored by its broker.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two pushes of own code that does not end.
const LINGERING: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    App::new()
        .consumer("sql", async |job: Json<Sql>, ctx| {
            sql(job, ctx).await.map(drop)
        })
        .consumer("redis", redis_command)
        .consumer("kafka", kafka)
        .cron("sql", sql)
        .delayed("note", note)
        .spawn(serve)
        .spawn(async |ctx: Context| {
            ctx.until_stopping().await;
            ctx.push([task("the last words")]).await?;
            Ok(())
        })
        .main()
}

#[derive(Deserialize)]
struct Sql {
    database: String,
    /// As the scheme of the database's address.
    kind: String,
    statement: String,
}

/// Answers how many rows the statement changed. What goes wrong is a dead letter at once.
async fn sql(Json(job): Json<Sql>, ctx: Context) -> JobResult<usize> {
    let statement = sql_query(job.statement);
    let changed = match job.kind.as_str() {
        "mysql" => {
            let connection = ctx.database::<AsyncMysqlConnection>(&job.database).await;
            let mut connection = connection.map_err(JobError::discard)?;
            statement.execute(&mut *connection).await
        }
        "postgres" => {
            let connection = ctx.database::<AsyncPgConnection>(&job.database).await;
            let mut connection = connection.map_err(JobError::discard)?;
            statement.execute(&mut *connection).await
        }
        _ => {
            type Sqlite = SyncConnectionWrapper<SqliteConnection>;
            let connection = ctx.database::<Sqlite>(&job.database).await;
            let mut connection = connection.map_err(JobError::discard)?;
            statement.execute(&mut *connection).await
        }
    };
    changed.map_err(JobError::discard)
}

#[derive(Deserialize)]
struct Command {
    server: String,
    words: Vec<String>,
}

async fn redis_command(Json(job): Json<Command>, ctx: Context) -> JobResult {
    let server = ctx.redis(&job.server).await;
    let mut server = server.map_err(JobError::discard)?;
    let mut command = redis::Cmd::new();
    let answer = command.arg(job.words).query_async(&mut *server).await;
    answer.map_err(JobError::discard)
}

#[derive(Deserialize)]
struct Record {
    cluster: String,
    topic: String,
    payload: String,
}

async fn kafka(Json(job): Json<Record>, ctx: Context) -> JobResult {
    let producer = ctx.kafka(&job.cluster).map_err(JobError::discard)?;
    let record = FutureRecord::<[u8], _>::to(&job.topic).payload(&job.payload);
    let sent = producer.send(record, PATIENCE).await;
    sent.map_err(|(cause, _)| JobError::discard(cause))?;
    Ok(())
}

async fn note(task: Task, _: Context) -> JobResult {
    let mut notes = OpenOptions::new().append(true).create(true).open("notes")?;
    notes.write_all(format!("{}\n", task.params).as_bytes())?;
    Ok(())
}

fn task(params: &str) -> PushItem {
    PushItem {
        exec_cmd: "note".to_owned(),
        params: params.to_owned(),
        ..PushItem::default()
    }
}

/// The own code: a server of lines.
async fn serve(ctx: Context) -> JobResult {
    let app: serde_json::Value = ctx.settings().app()?;
    let Some(listen) = app["listen"].as_str() else {
        return Ok(());
    };
    let server = TcpListener::bind(listen).await?;
    log::info!("own code listens on {}", server.local_addr()?);
    let actor = Pusher(ctx.clone()).start();
    // Not `Send`, and need not be.
    let served = Rc::new(Cell::new(0));
    loop {
        let (connection, _) = tokio::select! {
            accepted = server.accept() => accepted?,
            () = ctx.until_stopping() => {
                log::info!("own code ends after {} tasks", served.get());
                return Ok(());
            }
        };
        converse(connection, &ctx, &actor, &served).await?;
    }
}

async fn converse(
    mut connection: TcpStream,
    ctx: &Context,
    actor: &Addr<Pusher>,
    served: &Rc<Cell<u32>>,
) -> JobResult {
    let (lines, mut answers) = connection.split();
    let mut lines = BufReader::new(lines).lines();
    while let Some(line) = lines.next_line().await? {
        let (how, params) = line.split_once(':').unwrap_or((&line, ""));
        let ids = match how {
            "here" => ctx.push([task(params)]).await?,
            "thread" => from_a_thread(ctx.clone(), params.to_owned()).await?,
            "actor" => actor.send(PushIt(task(params))).await??,
            "fail" => Err("the line says fail")?,
            "panic" => panic!("the line says panic"),
            "linger" => linger(ctx).await?,
            _ => Err("`HOW:PARAMS` would be right")?,
        };
        served.set(served.get() + 1);
        answers.write_all(format!("{ids:?}\n").as_bytes()).await?;
    }
    Ok(())
}

/// A thread without any runtime.
async fn from_a_thread(ctx: Context, params: String) -> Result<Vec<i64>, BoxError> {
    let (sender, ids) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(ctx.block_on(ctx.push([task(&params)]))));
    Ok(ids.await??)
}

/// Pays no heed to the stop: it pushes until it is ended.
async fn linger(ctx: &Context) -> Result<Vec<i64>, PushError> {
    loop {
        let params = match ctx.stopping() {
            false => "before the stop",
            true => "during the stop",
        };
        ctx.push([task(params)]).await?;
        tokio::time::sleep(LINGERING).await;
    }
}

/// An actor of the program's own.
struct Pusher(Context);

#[derive(actix::Message)]
#[rtype(result = "Result<Vec<i64>, PushError>")]
struct PushIt(PushItem);

impl Actor for Pusher {
    type Context = actix::Context<Self>;
}

impl Handler<PushIt> for Pusher {
    type Result = ResponseFuture<Result<Vec<i64>, PushError>>;

    fn handle(&mut self, PushIt(item): PushIt, _: &mut Self::Context) -> Self::Result {
        let delay_queue = self.0.delay_queue();
        Box::pin(async move { delay_queue.send(Push(vec![item])).await? })
    }
}
