use super::*;

/// Checks the URL in an environment with this variable.
fn checked(text: &str, (set, value): (&str, &str)) -> Result<Checked, StoreError> {
    check(text, |name| (name == set).then(|| value.to_owned()))
}

const NOTHING: (&str, &str) = ("", "");

#[test]
fn tls_is_the_default_except_on_this_machine() {
    for (text, variable, mode, needs_roots) in [
        ("postgres://ann:pw@db/app", NOTHING, "VerifyFull", true),
        ("postgresql://10.0.0.1:5433", NOTHING, "VerifyFull", true),
        ("postgres://localhost?host=/tmp", NOTHING, "Prefer", false),
        ("postgres:///?host=db", NOTHING, "VerifyFull", true),
        (
            "postgres:///?hostaddr=10.0.0.1",
            NOTHING,
            "VerifyFull",
            true,
        ),
        ("postgres://localhost/app", NOTHING, "Prefer", false),
        ("postgres://[::1]/app", NOTHING, "Prefer", false),
        ("postgres://%2Ftmp/app", NOTHING, "Prefer", false),
        ("postgres:///app?host=/tmp", NOTHING, "Prefer", false),
        (
            "postgres://db?sslmode=verify-full",
            NOTHING,
            "VerifyFull",
            true,
        ),
        ("postgres://db?sslmode=Require", NOTHING, "Require", false),
        ("postgres://db?sslmode=disable", NOTHING, "Disable", false),
        ("postgres://db?ssl-mode=disable", NOTHING, "Disable", false),
        ("postgres://db", ("PGSSLMODE", "disable"), "Disable", false),
        (
            "postgres://db?sslmode=require",
            ("PGSSLMODE", "disable"),
            "Require",
            false,
        ),
        (
            "postgres://localhost",
            ("PGSSLMODE", "verify-full"),
            "VerifyFull",
            true,
        ),
        (
            "postgres://localhost?sslmode=allow",
            NOTHING,
            "Allow",
            false,
        ),
        (
            "postgres://db?sslrootcert=system",
            NOTHING,
            "VerifyFull",
            true,
        ),
        (
            "postgres://localhost?sslrootcert=system",
            NOTHING,
            "VerifyFull",
            true,
        ),
        (
            "postgres://db",
            ("PGSSLROOTCERT", "system"),
            "VerifyFull",
            true,
        ),
    ] {
        let checked = checked(text, variable).expect(text);
        let found = format!("{:?}", checked.options.get_ssl_mode());
        assert_eq!(found, mode, "{text}");
        assert_eq!(checked.needs_roots, needs_roots, "{text}");
    }
}

#[test]
fn sslrootcert_is_checked_in_every_tls_mode() {
    let name = format!("notion-auth-{:016x}.pem", fastrand::u64(..));
    let file = env::temp_dir().join(name);
    fs::write(&file, CERTIFICATE).expect("a file");
    let path = file.to_str().expect("UTF-8");
    for (query, mode) in [
        ("", "VerifyFull"),
        ("&sslmode=verify-full", "VerifyFull"),
        ("&sslmode=verify-ca", "VerifyCa"),
        ("&sslmode=require", "VerifyCa"),
        ("&sslmode=disable", "Disable"),
    ] {
        for host in ["db", "localhost"] {
            let text = format!("postgres://{host}?sslrootcert={path}{query}");
            let checked = checked(&text, NOTHING).expect(&text);
            let found = format!("{:?}", checked.options.get_ssl_mode());
            assert_eq!((&*found, checked.needs_roots), (mode, false), "{text}");
        }
    }
    for root in [path, CERTIFICATE] {
        let checked = checked("postgres://db", ("PGSSLROOTCERT", root)).expect("it is read");
        let found = format!("{:?}", checked.options.get_ssl_mode());
        assert_eq!((&*found, checked.needs_roots), ("VerifyFull", false));
    }
    fs::remove_file(&file).expect("it is there");
}

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\naGk=\n-----END CERTIFICATE-----\n";

#[test]
fn weakening_parameters_are_refused_without_values() {
    for (text, variable, words) in [
        ("postgres://db?sslmode=prefer", NOTHING, "may be plain text"),
        ("postgres://db?sslmode=allow", NOTHING, "may be plain text"),
        ("postgres://db", ("PGSSLMODE", "prefer"), "PGSSLMODE"),
        (
            "postgres://db",
            ("PGSSLMODE", "hunter2"),
            "PGSSLMODE must be one of `disable`",
        ),
        (
            "postgres://localhost",
            ("PGSSLMODE", "verify_full"),
            "PGSSLMODE must be one of",
        ),
        (
            "postgres://db?sslmode=hunter2",
            NOTHING,
            "`sslmode` in the URL must be one of",
        ),
        (
            "postgres://db?sslmode=",
            NOTHING,
            "`sslmode` in the URL must be one of",
        ),
        (
            "postgres://db?sslmode=verify-ca",
            NOTHING,
            "needs `sslrootcert`",
        ),
        (
            "postgres://db?sslmode=verify-ca&sslrootcert=system",
            NOTHING,
            "`sslrootcert=system` needs",
        ),
        (
            "postgres://db?sslmode=require",
            ("PGSSLROOTCERT", "system"),
            "`sslrootcert=system` needs",
        ),
        (
            "postgres://db?sslrootcert=hunter2",
            NOTHING,
            "the file that `sslrootcert` in the URL names cannot be read",
        ),
        (
            "postgres://db",
            ("PGSSLROOTCERT", "hunter2"),
            "the file that PGSSLROOTCERT names cannot be read",
        ),
        (
            "postgres://db?sslrootcert=/dev/null",
            NOTHING,
            "names no certificate in PEM",
        ),
        (
            "postgres://db",
            (
                "PGSSLROOTCERT",
                "-----BEGIN KEY-----\nhunter2\n-----END KEY-----",
            ),
            "PGSSLROOTCERT names no certificate in PEM",
        ),
        (
            "postgres://db?sslcert=/dev/null&sslkey=hunter2",
            NOTHING,
            "the file that `sslkey` in the URL names",
        ),
        (
            "postgres://db?sslcert=/dev/null",
            NOTHING,
            "`sslcert` and `sslkey` belong together",
        ),
        (
            "postgres://db",
            ("PGSSLKEY", "hunter2"),
            "`sslcert` and `sslkey` belong together",
        ),
        (
            "postgres://localhost/?host=db&sslmode=disable",
            NOTHING,
            "`host` in the URL is set twice",
        ),
        (
            "postgres://localhost/?hostaddr=10.0.0.1",
            NOTHING,
            "`hostaddr` in the URL is set twice",
        ),
        (
            "postgres:///?host=localhost&hostaddr=10.0.0.1",
            NOTHING,
            "`hostaddr` in the URL is set twice",
        ),
        (
            "postgres:///?hostaddr=hunter2",
            NOTHING,
            "`hostaddr` in the URL must be an IP address",
        ),
        (
            "postgres://db:1?port=2",
            NOTHING,
            "`port` in the URL is set twice",
        ),
        (
            "postgres://db?port=hunter2",
            NOTHING,
            "`port` in the URL must be a number",
        ),
        (
            "postgres://ann@db?user=bob",
            NOTHING,
            "`user` in the URL is set twice",
        ),
        (
            "postgres://db/app?dbname=b",
            NOTHING,
            "`dbname` in the URL is set twice",
        ),
        (
            "postgres://db?statement-cache-capacity=hunter2",
            NOTHING,
            "must be a number",
        ),
        (
            "postgres://db?channel_binding=require",
            NOTHING,
            "unknown parameter `channel_binding`",
        ),
        (
            "postgres://ann:hunter2%ff@db",
            NOTHING,
            "it is not UTF-8 when decoded",
        ),
        ("postgres:/hunter2", NOTHING, "`//` is missing"),
        ("http://ann:hunter2@db", NOTHING, "its scheme is another"),
    ] {
        let error = checked(text, variable).err().expect(text);
        let source = std::error::Error::source(&error);
        let shown = format!("{error} {error:?} {source:?}");
        assert!(shown.contains(words), "{text}: {shown}");
        assert!(!shown.contains("hunter2"), "{text}: {shown}");
    }
}

#[test]
fn the_host_of_an_ipv6_address_has_no_brackets() {
    let checked = checked("postgres://[2001:db8::1]:5433/app", NOTHING).expect("it is valid");
    assert_eq!(checked.options.get_host(), "2001:db8::1");
    assert_eq!(checked.options.get_port(), 5433);
}
