//! Orders about single tasks and dead letters, pressed in a real browser, and seen in the tables and in the ledger.

use fantoccini::Locator;
use fantoccini::error::CmdError;
use serde_json::{Value, json};

use super::address;
use super::page::devtools;
use crate::browser::Browser;
use crate::database::Database;
use crate::wait::{LONG_PATIENCE, now_s, wait_until};
use crate::world::World;

/// The last task and the last dead letter.
const TASKS: i64 = 6;
const LETTERS: i64 = 12;

/// A daemon with tasks 1 to `TASKS` that wait, and dead letters 1 to `LETTERS` of its queue.
fn world() -> World {
    let mut settings = super::settings(json!({}));
    settings["delayed"] = json!({ "ledger": { "max_attempts": 1 } });
    let world = World::new(settings);
    world.partition("script1", &World::table_queue(), &json!([]));
    let mut database = world.migrate();
    let tasks: Vec<(String, i64)> = (1..=TASKS)
        .map(|n| (format!("task {n}"), now_s() + 3600))
        .collect();
    world.insert_tasks(&tasks);
    for n in 1..=LETTERS {
        let error = if n > 8 { "timed out" } else { "refused" };
        database.execute(&format!(
            "INSERT INTO dead_letter (kind, source, name, exec_cmd, original_id, payload, error, attempts, partition_name, first_ms, died_ms)
             VALUES ('queue', 'work', 'work', 'ledger', '{n}', CAST('dead letter {n}' AS BLOB), '{error} {n}', 1, 'script1', 1, {})",
            now_s() * 1000
        ));
    }
    world
}

/// Ticks a line of a list, where one is named, presses the button, and returns the page's note.
fn press(browser: &Browser, at: &str, ticked: Option<i64>, buttons: &[&str]) -> String {
    typed(browser, at, ticked, &[], buttons)
}

/// As `press`, after texts were typed into fields.
fn typed(
    browser: &Browser,
    at: &str,
    ticked: Option<i64>,
    fields: &[(&str, &str)],
    buttons: &[&str],
) -> String {
    browser.run(async |page| {
        page.goto(at).await?;
        if let Some(id) = ticked {
            let tick = format!("#tick-{id}");
            click(page, &tick).await?;
        }
        for (field, text) in fields {
            let field = page.find(Locator::Css(field)).await?;
            field.clear().await?;
            field.send_keys(text).await?;
        }
        for button in buttons {
            click(page, button).await?;
        }
        said(page).await
    })
}

/// Where it is not below the header.
async fn click(page: &fantoccini::Client, what: &str) -> Result<(), CmdError> {
    let found = page.wait().for_element(Locator::Css(what)).await?;
    let middle = "arguments[0].scrollIntoView({ block: 'center' })";
    let of = serde_json::to_value(&found).unwrap_or_default();
    page.execute(middle, vec![of]).await?;
    found.click().await
}

async fn said(page: &fantoccini::Client) -> Result<String, CmdError> {
    // Where an order leads to another page, the sentence is shown here and again there.
    loop {
        let said = page
            .wait()
            .for_element(Locator::Css("#flash .note"))
            .await?;
        if let Ok(text) = said.text().await {
            return Ok(text);
        }
    }
}

fn status(database: &mut Database, id: i64) -> i64 {
    database.number(&format!(
        "SELECT status AS n FROM delay_queue_log WHERE id = {id}"
    ))
}

fn dead_letters(database: &mut Database) -> i64 {
    database.number("SELECT count(*) AS n FROM dead_letter")
}

fn ran(world: &World, body: &str) -> bool {
    !world.ledger().of_body(body).is_empty()
}

#[test]
fn every_order_about_tasks_and_dead_letters_is_pressed_and_done() {
    let world = world();
    let Some(browser) = Browser::start(&world) else {
        return;
    };
    let mut daemon = world.start();
    let origin = format!("http://{}", address(&mut daemon));
    let mut database = world.database();
    let (delay, dead) = (format!("{origin}/delay"), format!("{origin}/dead"));
    let really = "details[open] button.danger";

    // Tasks, from the list and from the page of one.
    let said = press(&browser, &delay, Some(1), &["button[value=run]"]);
    assert!(said.contains("due now: 1"), "{said}");
    wait_until("the task that is due now", LONG_PATIENCE, || {
        ran(&world, "task 1")
    });
    let later = "SELECT exec_time AS n FROM delay_queue_log WHERE id = 2";
    typed(
        &browser,
        &delay,
        Some(2),
        &[("form.ticked input[name=in]", "5h")],
        &["button[value=later]"],
    );
    assert!(database.number(later) > now_s() + 4 * 3600);
    press(&browser, &delay, Some(3), &["form.ticked summary", really]);
    assert_eq!(status(&mut database, 3), 4);
    let task = |id: i64| format!("{origin}/task?id={id}");
    press(&browser, &task(4), None, &["button[value=run]"]);
    wait_until("the task of its page", LONG_PATIENCE, || {
        ran(&world, "task 4")
    });
    press(&browser, &task(5), None, &["main .confirm summary", really]);
    assert_eq!(status(&mut database, 5), 4);
    let said = typed(
        &browser,
        &task(6),
        None,
        &[("input[name=in]", "soon")],
        &["button[value=later]"],
    );
    assert!(said.contains("`soon` is no duration"), "{said}");
    assert_eq!(status(&mut database, 6), 1);

    // Dead letters: ticked, and on their own pages.
    press(
        &browser,
        &dead,
        Some(1),
        &["form.ticked button[value=replay]"],
    );
    wait_until("the dead letter that was ticked", LONG_PATIENCE, || {
        ran(&world, "dead letter 1")
    });
    press(&browser, &dead, Some(2), &["form.ticked summary", really]);
    let gone = "SELECT count(*) AS n FROM dead_letter WHERE id = 2";
    assert_eq!(
        (database.number(gone), dead_letters(&mut database)),
        (0, LETTERS - 2)
    );
    let dead_letter = |id: i64| format!("{origin}/letter?id={id}");
    typed_over(&browser, &dead_letter(3), "edited {\"测试\": 1}");
    wait_until("the edited dead letter", LONG_PATIENCE, || {
        ran(&world, "edited {\"测试\": 1}")
    });
    press(
        &browser,
        &dead_letter(4),
        None,
        &[".head .confirm summary", really],
    );
    assert_eq!(dead_letters(&mut database), LETTERS - 4);

    // All that match: counted first.
    let confirm = |query: &str| format!("{origin}/dead/confirm?{query}");
    let said = press(
        &browser,
        &confirm("do=replay&error=refused"),
        None,
        &["form.whole button"],
    );
    assert!(said.contains("4 run again"), "{said}");
    wait_until("all that match", LONG_PATIENCE, || {
        (5..=8).all(|n| ran(&world, &format!("dead letter {n}")))
    });
    let slow = [("form.whole input[name=rate]", "1/h")];
    let said = typed(
        &browser,
        &confirm("do=purge&error=timed+out"),
        None,
        &slow,
        &["form.whole button"],
    );
    assert!(said.contains("under way"), "{said}");
    wait_until("the first of a slow order", LONG_PATIENCE, || {
        dead_letters(&mut database) == 3
    });
    let said = press(&browser, &dead, None, &["button.stop"]);
    assert!(
        said.contains("ends with the dead letters that are under way"),
        "{said}"
    );
    assert_eq!(dead_letters(&mut database), 3);

    // Who ordered what.
    let audit = browser.run(async |page| {
        page.goto(&format!("{origin}/audit")).await?;
        page.find(Locator::Css("main")).await?.text().await
    });
    for target in [
        "delayed task 3",
        "dead letters 2",
        "with \"refused\" in the error",
    ] {
        assert!(audit.contains(target), "{target}: {audit}");
    }
    daemon.stop();
}

/// Opens the form of a dead letter, writes another payload and sends it.
fn typed_over(browser: &Browser, at: &str, payload: &str) {
    let said = browser.run(async |page| {
        page.goto(at).await?;
        click(page, "details.edit summary").await?;
        let field = "document.querySelector('form.edited textarea').value = arguments[0]";
        page.execute(field, vec![json!(payload)]).await?;
        click(page, "form.edited button").await?;
        said(page).await
    });
    assert!(said.contains("1 run again"), "{said}");
}

/// What the window's clipboard has after the button was pressed by the keyboard, and what the page said.
async fn copied(page: &fantoccini::Client) -> Result<(String, String), CmdError> {
    let button = page.find(Locator::Css("button.copy:not([hidden])")).await?;
    button.send_keys("\u{e007}").await?;
    let said = page
        .wait()
        .for_element(Locator::XPath("//*[@role='status'][.='Copied.']"))
        .await?;
    let said = said.text().await?;
    Ok((clipboard(page).await?, said))
}

async fn clipboard(page: &fantoccini::Client) -> Result<String, CmdError> {
    let read = "const [done] = arguments; navigator.clipboard.readText().then(done, fault => done(String(fault)))";
    let text = page.execute_async(read, vec![]).await?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_payload_is_copied_as_it_is_shown() {
    let world = world();
    let Some(browser) = Browser::start(&world) else {
        return;
    };
    let mut database = world.database();
    let payload = "{\"测试\":[1,\"<b>\"]}";
    database.execute(&format!(
        "INSERT INTO dead_letter (kind, source, name, exec_cmd, original_id, payload, error, attempts, partition_name, first_ms, died_ms)
         VALUES ('queue', 'work', 'work', 'ledger', '1', CAST('{payload}' AS BLOB), 'e', 1, 'script1', 1, 1)"
    ));
    let mut daemon = world.start();
    let origin = format!("http://{}", address(&mut daemon));
    let letter = format!("{origin}/letter?id={}", LETTERS + 1);
    for (form, expected) in [
        ("text", payload),
        ("json", "{\n  \"测试\": [\n    1,\n    \"<b>\"\n  ]\n}"),
        (
            "hex",
            "00000000  7b 22 e6 b5 8b e8 af 95 22 3a 5b 31 2c 22 3c 62  {\"......\":[1,\"<b\n",
        ),
    ] {
        let (text, said) = browser.run(async |page| {
            let rights = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": origin });
            devtools(page, "Browser.grantPermissions", rights).await?;
            page.goto(&format!("{letter}&as={form}")).await?;
            copied(page).await
        });
        assert_eq!(said, "Copied.");
        assert!(text.starts_with(expected), "{form}: {text}");
    }
    // A page of plain HTTP at another machine's address has no clipboard: the older way is taken.
    let text = browser.run(async |page| {
        page.goto(&format!("{letter}&as=text")).await?;
        let hide = "window.real = navigator.clipboard;
            Object.defineProperty(navigator, 'clipboard', { configurable: true, get: () => window.hidden ? undefined : window.real });
            window.hidden = true; window.real.writeText('before').then(arguments[0])";
        page.execute_async(hide, vec![]).await?;
        let button = page.find(Locator::Css("button.copy:not([hidden])")).await?;
        button.click().await?;
        page.wait().for_element(Locator::XPath("//*[@role='status'][.='Copied.']")).await?;
        page.execute("window.hidden = false", vec![]).await?;
        clipboard(page).await
    });
    assert_eq!(text, payload);
    daemon.stop();
}

#[test]
fn hostile_payloads_run_nothing_in_the_browser() {
    let world = world();
    let Some(browser) = Browser::start(&world) else {
        return;
    };
    let mut database = world.database();
    let hostile = "<script>window.hit = 1</script><img src=x onerror=\"window.hit = 1\">";
    database.execute(&format!(
        "INSERT INTO dead_letter (kind, source, name, exec_cmd, original_id, payload, error, attempts, partition_name, first_ms, died_ms)
         VALUES ('queue', 'work', '{hostile}', '{hostile}', '{hostile}', CAST('{hostile}' AS BLOB), '{hostile}', 1, 'script1', 1, 1)"
    ));
    let mut daemon = world.start();
    let origin = format!("http://{}", address(&mut daemon));
    for path in [
        "/dead".to_owned(),
        format!("/letter?id={}", LETTERS + 1),
        "/dead/confirm?do=purge".to_owned(),
    ] {
        let (hit, shown) = browser.run(async |page| {
            page.goto(&format!("{origin}{path}")).await?;
            let hit = page.execute("return window.hit ?? null", vec![]).await?;
            let shown = page.find(Locator::Css("main")).await?.text().await?;
            Ok((hit, shown))
        });
        assert_eq!(hit, Value::Null, "{path}");
        assert!(
            path.contains("confirm") || shown.contains("<script>window.hit"),
            "{path}: {shown}"
        );
    }
    daemon.stop();
}
