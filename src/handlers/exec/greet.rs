//! Greets whoever a message names, and has itself reminded of it.

use simplest_script::{Context, JobResult, Message, PushItem};

/// Seconds until the reminder.
const REMIND_AFTER: i64 = 3;

/// Consumes the queue `demo`: any text is a name.
pub async fn greet(message: Message, ctx: Context) -> JobResult {
    let name = std::str::from_utf8(&message.payload)?;
    log::info!("demo: a message says hello to {name}");
    let reminder = PushItem {
        name: "demo reminder".to_owned(),
        exec_cmd: "delay_test".to_owned(),
        params: name.to_owned(),
        delay_time: REMIND_AFTER,
        ..PushItem::default()
    };
    ctx.push(vec![reminder]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use simplest_script::testing::Harness;

    use super::*;

    #[test]
    fn a_greeting_is_followed_by_a_reminder() {
        let harness = Harness::new(());
        harness.consume(greet, Message::new("世界")).unwrap();
        let pushed = harness.pushed();
        assert_eq!(pushed.len(), 1);
        assert_eq!(pushed[0].exec_cmd, "delay_test");
        assert_eq!(pushed[0].params, "世界");
    }

    #[test]
    fn a_name_that_is_no_text_is_an_error() {
        let harness = Harness::new(());
        assert!(harness.consume(greet, Message::new(&b"\xff"[..])).is_err());
        assert!(harness.pushed().is_empty());
    }
}
