"""Signing in, in a real browser: with an OpenID provider that nobody here wrote, and through a proxy that names people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from studio import team
from studio.workspace import Workspace
from tests import signing_in
from tests.browser import Studio, chromium, settled, shoot
from tests.signing_in import heading, sign_in

pytestmark = pytest.mark.slow

OWNER = "olga@example.org"
SECRET = "only the proxy of this test knows it"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which nobody was invited."""
    return tmp_path_factory.mktemp("login") / "ws"


@pytest.fixture(scope="module")
def studio(home: Path) -> Iterator[Studio]:
    """A studio in which one signs in with the provider."""
    found = Studio(home)
    with signing_in.provider(found.url) as issuer, pytest.MonkeyPatch.context() as environment:
        environment.setenv("STREAMLIT_SECRETS_FILES", str(signing_in.secrets(home.parent / "secrets.toml", found.url, issuer)))
        environment.setenv("TUNEWRIGHT_OWNER", OWNER)
        found.start()
        yield found
        found.kill()


def visit(browser: Browser, url: str) -> Page:
    page = browser.new_context().new_page()
    page.goto(url)
    return settled(page)


def invite(page: Page, studio: Studio, address: str, role: str) -> None:
    page.goto(f"{studio.url}/people")
    settled(page)
    page.get_by_role("textbox", name="E-mail addresses or domains").fill(address)
    page.get_by_role("combobox", name="Role").first.click()
    page.get_by_role("option", name=role).first.click()
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text(address).first).to_be_visible(timeout=60_000)


def pressed_until(page: Page, wanted: Locator) -> None:
    """Go on in the page that is open, as often as it takes until what another person did is stored."""
    for _ in range(12):
        page.get_by_test_id("stSidebarNav").get_by_text("Overview").click()
        try:
            return expect(wanted).to_be_visible(timeout=5_000)
        except AssertionError:
            continue
    expect(wanted).to_be_visible()


def change_role(page: Page, place: int, role: str) -> None:
    page.get_by_role("combobox", name="Role").nth(place).click()
    page.get_by_role("option", name=role, exact=True).click()
    settled(page)


def test_people_sign_in_are_invited_and_lose_their_role_while_they_work(browser: Browser, studio: Studio) -> None:
    olga = visit(browser, studio.url)
    heading(olga, "Sign in")
    assert "Import" not in olga.inner_text("body")  # nothing of the studio before
    shoot(olga, "door")
    sign_in(olga, "olga")
    expect(olga.get_by_text("Signed in as").first).to_be_visible(timeout=60_000)
    assert olga.get_by_label("You are").count() == 0  # nobody types a name here
    invite(olga, studio, "rita@example.org", "reviewer")
    shoot(olga, "people")

    rita = visit(browser, studio.url)
    sign_in(rita, "rita")
    heading(rita, "Overview")
    links = rita.get_by_test_id("stSidebarNav")
    expect(links.get_by_text("Review", exact=True)).to_be_visible(timeout=60_000)
    assert not links.get_by_text("Import", exact=True).count() and not links.get_by_text("People", exact=True).count()
    rita.goto(f"{studio.url}/people")
    expect(rita.get_by_text("This page is not for your role").first).to_be_visible(timeout=60_000)
    shoot(rita, "not-for-you")
    rita.goto(f"{studio.url}/review")
    heading(settled(rita), "Review")

    change_role(olga, 2, "labeller")  # while Rita looks at a page of reviewers
    pressed_until(rita, rita.get_by_test_id("stSidebarNav").get_by_text("Label", exact=True))
    expect(rita.get_by_test_id("stSidebarNav").get_by_text("Review", exact=True)).to_have_count(0)

    olga.get_by_role("button", name="Remove").nth(1).click()
    olga.get_by_role("button", name="Remove now").click()
    settled(olga)
    expect(olga.get_by_text("rita@example.org")).to_have_count(0, timeout=60_000)
    pressed_until(rita, rita.get_by_role("heading", name="You are not invited"))
    shoot(rita, "not-invited")
    signing_in.sign_out(olga)


@pytest.mark.parametrize(("account", "words"), [("mallory", "You are not invited"), ("unsure", "This sign-in does not count")])
def test_the_wrong_user_sees_one_page_that_says_what_to_do(browser: Browser, studio: Studio, account: str, words: str) -> None:
    page = visit(browser, studio.url)
    sign_in(page, account)
    heading(page, words)
    page.goto(f"{studio.url}/curate")
    heading(page, words)
    assert page.get_by_test_id("stSidebarNav").count() == 0
    expect(page.get_by_role("button", name="Sign in as somebody else")).to_be_visible()


def test_an_expired_session_says_so_and_a_forged_cookie_is_nobody(
        browser: Browser, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    page = visit(browser, studio.url)
    sign_in(page, "olga")
    heading(page, "Overview")
    studio.kill()
    monkeypatch.setenv("TUNEWRIGHT_SESSION_HOURS", "0.0001")
    studio.start()
    page.goto(f"{studio.url}/curate")
    heading(page, "Your session has expired")
    shoot(page, "expired")
    context = page.context
    for cookie in context.cookies():
        context.add_cookies([{"name": cookie["name"], "value": cookie["value"][:-4] + "AAAA", "url": studio.url}])
    page.goto(studio.url)
    heading(page, "^Sign in$")


def test_a_forged_header_names_nobody_and_the_proxys_own_names_somebody(
        browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = Workspace(tmp_path / "ws")
    team.give(ws, OWNER, "owner", "test")
    ws.close()
    monkeypatch.delenv("STREAMLIT_SECRETS_FILES", raising=False)
    monkeypatch.setenv("TUNEWRIGHT_TRUSTED_HEADER", "X-Forwarded-Email")
    monkeypatch.setenv("TUNEWRIGHT_PROXY_SECRET", SECRET)
    studio = Studio(tmp_path / "ws")
    studio.start()
    try:
        said = {"X-Forwarded-Email": OWNER}
        with signing_in.proxy(studio.port, said) as forged, \
                signing_in.proxy(studio.port, said | {"X-Tunewright-Proxy": "guessed"}) as guessed, \
                signing_in.proxy(studio.port, said | {"X-Tunewright-Proxy": SECRET}) as true:
            for address in (forged, guessed):
                heading(visit(browser, address), "Nobody is signed in")
            page = visit(browser, true)
            expect(page.get_by_text(OWNER).first).to_be_visible(timeout=60_000)
            heading(page, "Overview")
    finally:
        studio.kill()
