use std::{fs, path::Path, time::Duration};

/// How long this thread has had a processor, system calls included; `None` where the system does not
/// say.
pub(crate) fn of_this_thread() -> Option<Duration> {
    of(Path::new("/proc/thread-self"))
}

/// The same of all threads that live.
pub(crate) fn of_all_threads() -> Option<Duration> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    threads.map(|thread| of(&thread.ok()?.path())).sum()
}

fn of(thread: &Path) -> Option<Duration> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}
