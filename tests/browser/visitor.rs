//! A visitor's actions, and what the visitor sees.

use std::time::Duration;

use fantoccini::{
    Client, Locator,
    actions::{InputSource as _, MOUSE_BUTTON_LEFT, MouseActions, PointerAction},
    elements::Element,
};
use http::{Request, header};
use http_body_util::Full;
use hyper_util::{client::legacy, rt::TokioExecutor};
use url::{Url, form_urlencoded};

const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(20);

/// A person with a browser.
pub(crate) struct Visitor {
    pub(crate) browser: Client,
    site: String,
}

impl Visitor {
    pub(crate) fn new(browser: Client, site: &str) -> Self {
        Self {
            browser,
            site: site.to_owned(),
        }
    }

    pub(crate) async fn sign_in(&self, name: &str) {
        self.open("/").await;
        let field = self.find("//input[@id='name']").await;
        field.send_keys(name).await.expect("a name is written");
        self.click("//button[.='Sign in']").await;
        self.find(&format!("//header[contains(., '{name}')]")).await;
    }

    /// Opens a page of the site.
    pub(crate) async fn open(&self, path: &str) {
        self.go(&self.address(path)).await;
    }

    /// Returns the whole address of a page of the site.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.site)
    }

    /// Opens the site's first page, and counts the flows that the browser has cookies of.
    pub(crate) async fn flows(&self) -> usize {
        self.open("/").await;
        let cookies = self.browser.get_all_cookies().await.expect("cookies");
        let flows = cookies.iter();
        flows
            .filter(|cookie| cookie.name().starts_with("notion-flow-"))
            .count()
    }

    /// Opens an address as from the address bar: no site sends the browser there.
    pub(crate) async fn go(&self, url: &str) {
        self.browser.goto(url).await.expect("the page loads");
    }

    /// Follows a link of the current page.
    pub(crate) async fn follow(&self, url: &str) {
        self.run("location.assign(arguments[0])", url).await;
    }

    /// Follows the site's link to Notion's consent page.
    pub(crate) async fn begin(&self) {
        self.click("//a[@id='connect']").await;
        self.find(ALLOW).await;
    }

    pub(crate) async fn allow(&self, workspace: &str) {
        self.choose(workspace).await;
        self.click(ALLOW).await;
    }

    pub(crate) async fn allow_by_double_click(&self, workspace: &str) {
        self.choose(workspace).await;
        let (button, duration) = (MOUSE_BUTTON_LEFT, None);
        let mouse = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveToElement {
                element: self.find(ALLOW).await,
                duration,
                x: 0.0,
                y: 0.0,
            })
            .then(PointerAction::Down { button })
            .then(PointerAction::Up { button })
            .then(PointerAction::Down { button })
            .then(PointerAction::Up { button });
        let clicked = self.browser.perform_actions(mouse).await;
        clicked.expect("the mouse is clicked");
    }

    pub(crate) async fn deny(&self) {
        self.click("//button[@value='deny']").await;
    }

    /// Allows it, and returns the address that Notion sends the browser back to. The browser doesn't open it.
    pub(crate) async fn callback(&self, workspace: &str) -> String {
        let mut page = self.browser.current_url().await.expect("an address");
        let decision = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", page.query().expect("a query"))
            .append_pair("workspace", workspace)
            .append_pair("decision", "allow")
            .finish();
        page.set_path(&format!("{}/decision", page.path()));
        let request = Request::post(page.as_str())
            .body(Full::<bytes::Bytes>::from(decision))
            .expect("a request");
        let client = legacy::Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.expect("Notion answers");
        let callback = answer.headers().get(header::LOCATION).expect("a redirect");
        callback.to_str().expect("text").to_owned()
    }

    /// The site shows this connection, and it works.
    pub(crate) async fn sees_connection(&self, workspace: &str) {
        self.find(&format!("//h2[@id='workspace'][.='{workspace}']"))
            .await;
        self.find("//p[.='Connected']").await;
        self.find(&format!("//pre[@id='me'][contains(., '{workspace}')]"))
            .await;
    }

    pub(crate) async fn sees_no_connection(&self) {
        self.sees("Not connected").await;
    }

    /// The page says this.
    pub(crate) async fn sees(&self, text: &str) {
        self.find(&format!("//main[contains(., '{text}')]")).await;
    }

    pub(crate) async fn click(&self, xpath: &str) {
        let element = self.find(xpath).await;
        element.click().await.expect("it is clicked");
    }

    pub(crate) async fn run(&self, script: &str, argument: &str) {
        let ran = self.browser.execute(script, vec![argument.into()]).await;
        ran.expect("the script runs");
    }

    /// Runs a script until it calls its last argument.
    pub(crate) async fn run_until_done(&self, script: &str, argument: &str) {
        let arguments = vec![argument.into()];
        let ran = self.browser.execute_async(script, arguments).await;
        ran.expect("the script ends");
    }

    /// Waits until the page has this element.
    pub(crate) async fn find(&self, xpath: &str) -> Element {
        let wait = self.browser.wait().at_most(PATIENCE).every(GLANCE);
        match wait.for_element(Locator::XPath(xpath)).await {
            Ok(element) => element,
            Err(error) => {
                let url = self.browser.current_url().await.map(Url::into);
                let url: String = url.unwrap_or_else(|error| error.to_string());
                let page = self.browser.source().await;
                let page = page.unwrap_or_else(|error| error.to_string());
                panic!("no {xpath}: {error}\non {url}\n{page}");
            }
        }
    }

    async fn choose(&self, workspace: &str) {
        let field = self.find("//input[@id='workspace']").await;
        field.clear().await.expect("the field is cleared");
        field.send_keys(workspace).await.expect("a name is written");
    }
}

const ALLOW: &str = "//button[@value='allow']";
