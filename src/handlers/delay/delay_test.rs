//! The reminder of a greeting.

use simplest_script::{Context, JobResult, Task};

/// Its result is what stands in the row's `result`.
pub async fn delay_test(task: Task, _: Context) -> JobResult<String> {
    log::info!("demo: a delayed task remembers {}", task.params);
    Ok(format!("remembered {}", task.params))
}

#[cfg(test)]
mod tests {
    use simplest_script::testing::Harness;

    use super::*;

    #[test]
    fn the_result_names_who_was_remembered() {
        let harness = Harness::new(());
        let result = harness.delayed(delay_test, Task::new("Ann")).unwrap();
        assert_eq!(result, "remembered Ann");
    }
}
