//! `cargo bench -p notion-auth-peers`, and with `--profile bench-lto`.

fn main() -> std::process::ExitCode {
    notion_auth_peers::bench(env!("CARGO_BIN_EXE_allocations"))
}
