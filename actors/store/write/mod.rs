//! Everything that may be written: one struct for each kind of write, an [`Operation`] with its reply in the type.
//!
//! [`Write`] and [`Written`] have one variant for each operation. In this form a write waits in a write queue, is
//! gathered with others into one transaction, and gets its answer. `operations!` makes both from the list below, so a
//! new operation is its struct in the file of its group, its name in that list, and an arm in each adapter, which the
//! compiler asks for.

mod boots;
mod claims;
mod cron;
mod dead_letters;
mod idempotency;
mod messages;
mod operation;
mod orders;
mod outside;
mod permits;
mod retention;
mod tasks;
mod warnings;

pub(crate) use self::boots::{BeginBoot, EndBoot, ReapGone, ReapSilent};
pub(crate) use self::claims::{Most, Settlement};
pub(crate) use self::cron::{ClaimFire, EndRun, RunStarted, SyncEntries, TakeFire, TrimRuns};
pub(crate) use self::dead_letters::{
    DeleteDeadLetters, DeletedDeadLetters, InsertDeadLetters, ReplayDeadLetters, Replayed,
};
pub(crate) use self::idempotency::{ClaimKey, EndKey, InsertKeyed, TrimKeys};
pub(crate) use self::messages::{
    ClaimMessages, EndMessages, HastenMessages, InsertMessages, ReleaseMessages,
};
pub(crate) use self::operation::{InsertedInto, Listed, Operation, reply_of};
pub(crate) use self::orders::{Audit, EndOrder, GiveOrders, SetPause, TakeOrder, TrimOrders};
pub(crate) use self::outside::{ForgetDeaths, NoteFailures};
pub(crate) use self::permits::TakePermits;
pub(crate) use self::retention::{TRIM_ROWS, TrimAudit, TrimCrontabLog, TrimDeadLetters, Trimmed};
pub(crate) use self::tasks::{
    ClaimTasks, EndTasks, HastenTasks, InsertTasks, OrderTask, ReleaseTasks, TrimTasks,
};
pub(crate) use self::warnings::{
    AddCount, ClaimNotices, EndNotices, SendNotices, TrimNotices, TrimWindows,
};

macro_rules! operations {
    ($($name:ident),* $(,)?) => {
        /// One write. A batch of them is one transaction; a refused write fails alone. Boxed: a write in a queue is as
        /// large as a pointer, however many fields its operation has.
        #[derive(Debug, Clone)]
        pub(crate) enum Write {
            $($name(Box<$name>),)*
        }

        /// The answer to a committed write: the reply of its operation.
        #[derive(Debug, Clone)]
        pub(crate) enum Written {
            $($name(<$name as Operation>::Reply),)*
        }

        $(
            impl From<$name> for Write {
                fn from(operation: $name) -> Self {
                    Self::$name(Box::new(operation))
                }
            }

            impl Listed for $name {
                fn answer(&self, reply: <Self as Operation>::Reply) -> Written {
                    Written::$name(reply)
                }

                fn reply(written: Written) -> Result<<Self as Operation>::Reply, Written> {
                    match written {
                        Written::$name(reply) => Ok(reply),
                        other => Err(other),
                    }
                }
            }
        )*

        /// What its operation says of itself.
        impl Write {
            pub(crate) fn is_barrier(&self) -> bool {
                match self { $(Self::$name(_) => $name::IS_BARRIER,)* }
            }

            pub(crate) fn is_urgent(&self) -> bool {
                match self { $(Self::$name(_) => $name::IS_URGENT,)* }
            }

            pub(crate) fn claims_a_fire(&self) -> bool {
                match self { $(Self::$name(_) => $name::CLAIMS_A_FIRE,)* }
            }

            pub(crate) fn is_of_warnings(&self) -> bool {
                match self { $(Self::$name(_) => $name::IS_OF_WARNINGS,)* }
            }

            pub(crate) fn is_end(&self) -> bool {
                match self { $(Self::$name(_) => $name::IS_END,)* }
            }

            pub(crate) fn inserts_into(&self) -> Option<InsertedInto> {
                match self { $(Self::$name(_) => $name::INSERTS_INTO,)* }
            }

            pub(crate) fn has_parts(&self) -> bool {
                match self { $(Self::$name(_) => $name::HAS_PARTS,)* }
            }

            pub(crate) fn has_words_of_one(&self) -> bool {
                match self { $(Self::$name(operation) => operation.has_words_of_one(),)* }
            }

            pub(crate) fn rows(&self) -> usize {
                match self { $(Self::$name(operation) => operation.rows(),)* }
            }

            pub(crate) fn given_up(&self) -> Option<Written> {
                match self {
                    $(Self::$name(operation) => operation.given_up().map(Written::$name),)*
                }
            }
        }
    };
}

operations! {
    BeginBoot, EndBoot, ReapSilent, ReapGone,
    InsertTasks, ClaimTasks, EndTasks, ReleaseTasks, HastenTasks, OrderTask, TrimTasks,
    InsertMessages, ClaimMessages, EndMessages, ReleaseMessages, HastenMessages,
    InsertDeadLetters, ReplayDeadLetters, DeleteDeadLetters, TrimDeadLetters,
    NoteFailures, ForgetDeaths,
    SyncEntries, ClaimFire, TakeFire, RunStarted, EndRun, TrimRuns, TrimCrontabLog,
    AddCount, SendNotices, ClaimNotices, EndNotices, TrimWindows, TrimNotices,
    SetPause, Audit, GiveOrders, TakeOrder, EndOrder, TrimOrders, TrimAudit,
    InsertKeyed, ClaimKey, EndKey, TrimKeys,
    TakePermits,
}
