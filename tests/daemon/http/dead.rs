//! Dead letters over HTTP: pages of them, their groups, and one with its payload.

use serde_json::json;

use super::Api;
use crate::dead_groups::{Letter, bury, world};
use crate::engine::on_each_database;
use crate::world::World;

on_each_database! { world =>
    letters_are_paged_and_shown_without_loss,
}

fn letters(count: usize, error: &str) -> Vec<Letter<'static>> {
    let letter = |n| {
        (
            "queue",
            "work_table",
            "work",
            format!("{error} {n}"),
            format!("{error}: {n} ms"),
        )
    };
    (0..count).map(letter).collect()
}

fn ids(world: &World) -> Vec<i64> {
    world
        .database()
        .numbers("SELECT id FROM dead_letter ORDER BY id DESC")
}

fn letters_are_paged_and_shown_without_loss(world: World) {
    bury(&mut world.database(), &letters(25, "refused"));
    bury(&mut world.database(), &letters(3, "odd"));
    let daemon = world.start();
    let api = Api::of(&world);
    for limit in [1, 7, 1000] {
        let all = api.all(&format!("dead?limit={limit}"), "letters", "before");
        let found: Vec<i64> = all
            .iter()
            .map(|letter| letter["id"].as_i64().unwrap())
            .collect();
        assert_eq!(found, ids(&world), "{limit}");
    }
    let odd = api.all(
        "dead?error=ODD&kind=queue&name=work&limit=2",
        "letters",
        "before",
    );
    assert_eq!(odd.len(), 3);
    let groups = api.get("dead/groups");
    assert_eq!(groups["at_least"], false);
    let sizes: Vec<_> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| &group["letters"])
        .collect();
    assert_eq!(sizes, [25, 3]);
    let group = groups["groups"][1]["group"].as_str().unwrap();
    assert_eq!(odd[0]["group"], group);
    assert_eq!(
        api.all(&format!("dead?group={group}&limit=2"), "letters", "before")
            .len(),
        3
    );
    let unknown = api.ask("dead?group=0123456789");
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    for wrong in [
        "dead?kind=letter",
        "dead?since=soon",
        "dead?limit=1001",
        "dead?nmae=x",
    ] {
        assert_eq!(api.ask(wrong).status, 400, "{wrong}");
    }

    // 80,000 bytes, of which none is text.
    let mut database = world.database();
    let last = ids(&world)[0];
    let bytes = match world.engine {
        crate::engine::Engine::Sqlite => "CAST(replace(hex(zeroblob(40000)), '0', 'x') AS BLOB)",
        crate::engine::Engine::Postgres => "convert_to(repeat('x', 80000), 'UTF8')",
        _ => "repeat('x', 80000)",
    };
    database.execute(&format!(
        "UPDATE dead_letter SET payload = {bytes} WHERE id = {last}"
    ));
    let letter = api.get(&format!("dead/{last}"));
    assert_eq!(letter["payload"], "x".repeat(65_536));
    assert_eq!(letter["payload_bytes"], 80_000);
    let no_text = match world.engine {
        crate::engine::Engine::Postgres => r"'\xff00'::bytea",
        _ => "x'ff00'",
    };
    database.execute(&format!(
        "UPDATE dead_letter SET payload = {no_text} WHERE id = {last}"
    ));
    let letter = api.get(&format!("dead/{last}"));
    assert_eq!(letter["payload"], json!({ "base64": "/wA=" }));
    assert_eq!(api.ask("dead/999999999").status, 404);
    daemon.stop();
}
