//! The site, and a browser for each visitor.

use std::{
    env,
    io::{self, Write as _},
};

use crate::{application::Application, driver::Driver, visitor::Visitor};

pub(crate) struct Stage {
    driver: Driver,
    application: Application,
}

impl Stage {
    /// Returns `None` and prints why if there is no browser. If `CI` is set, that is a failure.
    pub(crate) fn set() -> Option<Self> {
        let Some(driver) = Driver::start() else {
            let why = "no browser: apt-get install chromium chromium-driver";
            assert!(env::var_os("CI").is_none(), "{why}");
            // Not by a macro, whose output is not shown for a test that passes.
            let _ = writeln!(io::stderr(), "skipped, {why}");
            return None;
        };
        let application = Application::start();
        Some(Self {
            driver,
            application,
        })
    }

    /// A visitor with a browser of their own, who has signed in.
    pub(crate) async fn visitor(&self, name: &str) -> Visitor {
        let visitor = Visitor::new(self.driver.browser().await, &self.application.url);
        visitor.sign_in(name).await;
        visitor
    }
}
