//! Tracks that cron runs, and sends a greeting to the queue `demo`.

use serde::Deserialize;
use simplest_script::{Context, JobResult, Json};

/// The `params` of the entry.
#[derive(Debug, Deserialize)]
pub struct Params {
    name: String,
}

/// Its result is what stands in the row's `result`.
pub async fn crontab_track(Json(params): Json<Params>, ctx: Context) -> JobResult<String> {
    log::info!("demo: a cron run tracks {}", params.name);
    ctx.send("demo", [params.name.clone()]).await?;
    Ok(format!("tracked {}", params.name))
}

#[cfg(test)]
mod tests {
    use simplest_script::Run;
    use simplest_script::testing::Harness;

    use super::*;

    #[test]
    fn the_params_are_json() {
        let harness = Harness::new(());
        let result = harness
            .cron(crontab_track, Run::new(r#"{"name":"测试"}"#))
            .unwrap();
        assert_eq!(result, "tracked 测试");
        assert_eq!(harness.sent(), [("demo".to_owned(), "测试".into())]);
        assert!(harness.cron(crontab_track, Run::new("")).is_err());
    }
}
