# SPDX-License-Identifier: GPL-2.0-or-later
r"""The gateway's page, and a replay's report, in a browser: browser.py CASE

Headless Chromium looks at them as a person does who has no mouse. What it saw is kept beside the program, in screenshots/,
for a person to look at.
"""

import contextlib
import json
import pathlib
import subprocess
import sys

import gateway
import runner
from failure import Failure, expect_equal, expect_in, patient, wait_until
from lab import Lab
from web import PORT, Shown, talk_of_everything

CAPTURES = pathlib.Path(__file__).resolve().parent.parent / "captures"
URL = f"http://127.0.0.1:{PORT}/"
EVIL = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
WIDE, NARROW = (1440, 900), (390, 844)
# The page asks every two seconds.
NEXT_ROUND = 8


class Browser:
    """Chromium in a namespace. Everything is asked of it over a loopback of that namespace's own."""

    def __init__(self, lab, namespace):
        from selenium import webdriver
        from selenium.webdriver.chrome.options import Options
        from selenium.webdriver.chrome.service import Service
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                         "--disable-background-networking", "--disable-component-update", "--disable-sync",
                         "--disable-dev-shm-usage", f"--user-data-dir={lab.directory / 'chromium'}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        lab.enter_context(namespace.entered())
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        lab.callback(self.driver.quit)
        self.driver.set_page_load_timeout(patient(20))
        self.look(WIDE)

    def look(self, size, dark=False):
        """As a window of that size shows it, or its whole height where that is more."""
        self.width, self.height = size
        self._set_size(self.height)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def _set_size(self, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": self.width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def screenshot(self, name):
        directory = pathlib.Path(gateway.PROGRAM).parent / "screenshots"
        directory.mkdir(exist_ok=True)
        self._set_size(min(self.ask("document.documentElement.scrollHeight"), 6000))
        self.driver.save_screenshot(str(directory / f"{name}.png"))
        self._set_size(self.height)

    def ask(self, expression, *arguments):
        return self.driver.execute_script(f"return {expression}", *arguments)

    def texts(self, selector):
        return self.ask("[...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", selector)

    def wait_for(self, condition, what):
        """Until the expression is true."""
        return wait_until(lambda: self.ask(condition), f"the page shows {what}; it shows: {self.shown_text()[:2000]!r}",
                          limit=NEXT_ROUND, interval=0.1)

    def shown_text(self):
        return self.ask("document.body.innerText")

    def press(self, *keys):
        from selenium.webdriver import ActionChains
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, selector):
        """By the tab key alone, and to be seen there."""
        from selenium.webdriver import Keys
        for _ in range(60):
            self.press(Keys.TAB)
            if self.ask("document.activeElement.matches(arguments[0])", selector):
                if not self.ask("document.activeElement.matches(':focus-visible')"):
                    raise Failure(f"{selector} has the focus, but does not show it")
                return
        raise Failure(f"no way by keyboard to {selector}")

    def expect_quiet(self):
        """Nothing was refused, missing or wrong."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")
                    if not entry["message"].startswith("chrome://")]  # the page that it begins with is its own
        expect_equal("messages in the browser's console", [], messages)

    def expect_fits(self, what):
        wide, room = self.ask("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        if wide > room:
            raise Failure(f"{what} is {wide} pixels wide in a window of {room}")


def page():
    """Live, by keyboard alone, in light and dark, wide and narrow."""
    with Lab() as lab:
        shown = Shown(lab)
        talk, passive, active, foreign = talk_of_everything(shown)
        talk.exchange("NOOP", f"200 {EVIL}")
        browser = Browser(lab, shown.machine)
        browser.driver.get(URL)
        browser.wait_for("document.querySelector('#sessions tbody a')", "the session")
        _choose_by_keyboard(browser)
        _expect_ladder(browser, passive, active, foreign)
        expect_in("the refusals", foreign, " ".join(browser.texts("#refusals .mono")))
        expect_equal("transfers shown", 2, len(browser.texts("#transfers .state.ok")))
        # It goes on while it is looked at.
        talk.exchange("NOOP", "200 Something new.")
        browser.wait_for("document.querySelector('#ladder').textContent.includes('Something new.')", "a new line")
        expect_equal("the title", "ftpalg: 1 session", browser.driver.title)
        for size, name in ((WIDE, "wide"), (NARROW, "narrow")):
            for dark in (False, True):
                browser.look(size, dark)
                browser.expect_fits(f"the page, {name}")
                browser.screenshot(f"page-{name}-{'dark' if dark else 'light'}")
        browser.look(WIDE)
        _filter_by_keyboard(browser)
        browser.expect_quiet()
        _expect_hint_without_script(browser)
        shown.gateway.stop()


def _choose_by_keyboard(browser):
    from selenium.webdriver import Keys
    browser.tab_to("#sessions tbody a")
    browser.press(Keys.ENTER)
    browser.wait_for("document.querySelectorAll('#ladder .rung').length > 10", "the ladder")
    expect_equal("what has the focus then", "ladder-title", browser.ask("document.activeElement.id"))
    browser.tab_to("#ladder-back")
    browser.press(Keys.ENTER)
    if not browser.ask("document.activeElement.closest('#sessions') !== null"):
        raise Failure("the way back from the ladder does not lead to the session in the list")
    browser.press(Keys.ENTER)
    browser.wait_for("document.querySelectorAll('#ladder .rung').length > 10", "the ladder again")


def _expect_ladder(browser, passive, active, foreign):
    """Lines that were rewritten are there before and after, what differs marked."""
    for rung, (announced, heard), at in (("from-server", passive, "227"), ("from-client", active, "PORT")):
        lanes = browser.texts(f"#ladder .rewritten.{rung} code")
        expect_equal(f"texts of the rewritten {at}", 2, len(lanes))
        expect_in("before", announced[0].replace(".", ","), lanes[0])
        expect_in("after", heard[0].replace(".", ","), lanes[1])
    for selector in ("mark.before", "mark.after"):
        expect_equal(f"number of {selector}", 2, len(browser.texts(f"#ladder .rewritten {selector}")))
    expect_equal("lines that opened nothing", [foreign], browser.texts("#ladder .not-opened code"))
    if not any(EVIL in text for text in browser.texts("#ladder code")):
        raise Failure(f"the ladder lacks a line as it was: {browser.texts('#ladder code')}")
    expect_equal("images and scripts out of lines", 0, len(browser.texts("#ladder img, #ladder script")))


def _filter_by_keyboard(browser):
    from selenium.webdriver import Keys
    browser.ask("document.activeElement.blur()")
    browser.tab_to("#filter input[name=address]")
    browser.press("192.0.2.0/24")
    browser.wait_for("document.getElementById('sessions-count').textContent.startsWith('No session')", "no session")
    browser.press(*[Keys.BACKSPACE] * len("192.0.2.0/24"), "nonsense")
    browser.wait_for("!document.getElementById('filter-error').hidden", "what is wrong with the filter")
    browser.press(*[Keys.BACKSPACE] * len("nonsense"), "10.0.0.0/8")
    browser.wait_for("document.querySelector('#sessions tbody a') && document.getElementById('filter-error').hidden",
                     "the session again")
    # The browser itself tells its console of the answer 400.
    browser.driver.get_log("browser")


def _expect_hint_without_script(browser):
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.driver.execute_cdp_cmd("Page.reload", {})

    def hint():
        root = browser.driver.execute_cdp_cmd("DOM.getDocument", {})["root"]["nodeId"]
        found = browser.driver.execute_cdp_cmd("DOM.querySelector", {"nodeId": root, "selector": "noscript code"})
        if not found["nodeId"]:
            return None
        return browser.driver.execute_cdp_cmd("DOM.getOuterHTML", {"nodeId": found["nodeId"]})["outerHTML"]
    expect_in("the hint without script", "ftpalg status", wait_until(hint, "there is a hint without script"))
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def gone():
    """When the gateway has gone the page says so, and keeps what it has shown."""
    with Lab() as lab:
        shown = Shown(lab)
        talk_of_everything(shown)
        browser = Browser(lab, shown.machine)
        browser.driver.get(URL)
        browser.wait_for("document.querySelector('#sessions tbody a')", "the session")
        shown.gateway.kill()
        browser.wait_for("!document.getElementById('trouble').hidden", "that there is no answer")
        if not browser.ask("document.querySelector('#sessions tbody a') !== null"):
            raise Failure("what was shown last is gone")
        browser.screenshot("page-gone")


def report():
    """A replay's report is one file that shows each session, whoever has said what in it."""
    with Lab() as lab:
        machine = lab.namespace("colleague")
        report_file = _report(lab, "inside-client.pcap", "snat:198.51.100.1")
        browser = Browser(lab, machine)
        browser.driver.get(report_file.as_uri())
        browser.wait_for("document.querySelectorAll('details').length > 0", "sessions")
        _expect_report(browser)
        for size, name in ((WIDE, "wide"), (NARROW, "narrow")):
            for dark in (False, True):
                browser.look(size, dark)
                browser.expect_fits(f"the report, {name}")
                browser.screenshot(f"report-{name}-{'dark' if dark else 'light'}")
        printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})["data"]
        if len(printed) < 10_000:
            raise Failure(f"the report is printed to {len(printed)} bytes")
        browser.expect_quiet()


def _report(lab, capture, nat):
    path = lab.directory / "report.html"
    done = subprocess.run((gateway.PROGRAM, "replay", "--nat", nat, "--html", path, CAPTURES / capture),
                          capture_output=True, text=True, timeout=patient(60), check=False)
    expect_equal(f"exit status of ftpalg replay --html ({done.stderr})", 0, done.returncode)
    return path


def _expect_report(browser):
    from selenium.webdriver import Keys
    data = json.loads(browser.ask("document.getElementById('data').textContent"))
    expect_equal("sessions drawn", len(data["sessions"]), len(browser.texts("details")))
    rewritten = [rung for session in data["sessions"] for rung in session["ladder"] if rung["action"] == "rewrite"]
    # Those that are folded are drawn when they are opened, which needs no mouse.
    folded = browser.ask("document.querySelectorAll('details:not([open])').length")
    for _ in range(folded):
        browser.tab_to("details:not([open]) > summary")
        browser.press(Keys.ENTER)
    browser.wait_for("[...document.querySelectorAll('details')].every((each) => each.querySelector('.rung'))", "every ladder")
    befores, afters = browser.texts(".rewritten mark.before"), browser.texts(".rewritten mark.after")
    expect_equal("rewritten lines before and after", (len(rewritten),) * 2, (len(befores), len(afters)))
    expect_in("addresses after", "198,51,100", " ".join(browser.texts(".rewritten code")))
    if not any("PASS" in text for text in browser.texts("code")):
        raise Failure("no PASS is in the report, so that it cannot be seen whether passwords are masked")
    if len(browser.texts(".rung.data")) == 0:
        raise Failure("no data connection is drawn")


CASES = {"page": page, "gone": gone, "report": report}


if __name__ == "__main__":
    with contextlib.suppress(ImportError):
        import selenium  # noqa: F401
    if "selenium" not in sys.modules:
        sys.exit("FAILED: no selenium for /usr/bin/python3; run tests/setup")
    runner.main_of(CASES)
