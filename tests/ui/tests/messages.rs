//! Compares the compiler's messages with the files in `cases`. `TRYBUILD=overwrite` accepts new ones.

#[test]
fn body_that_cannot_be_copied_is_explained() {
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
