"""Signing in, in a real browser: with an OpenID provider that nobody here wrote, and through a proxy that names people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from studio import label_sets, team
from studio.workspace import Workspace
from tests import signing_in
from tests.browser import Studio, chromium, settled, shoot
from tests.label_cases import MOOD
from tests.signing_in import heading, sign_in
from tests.tickets import import_forty

pytestmark = pytest.mark.slow

OWNER = "olga@example.org"
UNSENT = """Object.keys(localStorage).filter((name) => name.startsWith("tunewright:") && name.includes(":label:")
    && localStorage.getItem(name).includes('"do":"answer"')).length"""
SECRET = "only the proxy of this test knows it"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two workspaces: one with tickets in which nobody was invited, and one of Tom's."""
    folder = tmp_path_factory.mktemp("login") / "all"
    ours, theirs = Workspace(folder / "ours"), Workspace(folder / "theirs")
    import_forty(ours)
    label_sets.save(ours, MOOD, "test")
    team.give(theirs, "tom@example.org", "owner", "test")
    ours.close()
    theirs.close()
    return folder


@pytest.fixture(scope="module")
def studio(home: Path) -> Iterator[Studio]:
    """A studio in which one signs in with the provider."""
    found = Studio(home)
    with signing_in.provider(found.url) as issuer, pytest.MonkeyPatch.context() as environment:
        environment.setenv("STREAMLIT_SECRETS_FILES", str(signing_in.secrets(home.parent / "secrets.toml", found.url, issuer)))
        environment.setenv("TUNEWRIGHT_OWNER", OWNER)
        environment.setenv("STUDIO_WORKSPACES", str(home))
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
    assert olga.locator('a[href^="mailto:"]').count() == 0  # no link is made of what is shown
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

    rita.goto(f"{studio.url}/label")
    expect(rita.get_by_test_id("label-card")).to_contain_text("Customer", timeout=60_000)
    first = rita.get_by_test_id("label-card").get_attribute("data-record")
    olga.get_by_role("button", name="Remove").nth(1).click()
    olga.get_by_role("button", name="Remove now").click()
    settled(olga)
    expect(olga.get_by_text("rita@example.org")).to_have_count(0, timeout=60_000)
    rita.keyboard.press("1")  # while her desk is open
    assert rita.evaluate(UNSENT) == 1
    expect(rita.get_by_text("You are not, or no longer, invited to this workspace.").first).to_be_visible(timeout=60_000)
    shoot(rita, "desk-of-somebody-removed")
    pressed_until(rita, rita.get_by_role("heading", name="You are not invited"))
    shoot(rita, "not-invited")

    invite(olga, studio, "rita@example.org", "labeller")
    rita.goto(f"{studio.url}/label")  # what she pressed lay in her browser, and is stored now
    rita.wait_for_function(UNSENT + "=== 0", timeout=60_000)
    rita.goto(f"{studio.url}/label?show=answered by me")
    expect(rita.locator(f'[data-testid="label-card"][data-record="{first}"]')).to_be_visible(timeout=60_000)
    signing_in.sign_out(olga)


def test_nobody_hears_of_a_workspace_that_is_not_theirs_and_who_makes_one_owns_it(browser: Browser, studio: Studio) -> None:
    olga = visit(browser, studio.url)
    sign_in(olga, "olga")
    heading(olga, "Overview")
    assert ("workspace=ours" in olga.url, "theirs" in olga.inner_text("body")) == (True, False)
    olga.goto(f"{studio.url}/?workspace=theirs")
    expect(olga.get_by_text("There is no workspace of the name in this address.").first).to_be_visible(timeout=60_000)
    assert (olga.get_by_role("link", name="ours").count(), olga.get_by_role("link", name="theirs").count()) == (1, 0)
    olga.goto(f"{studio.url}/server")
    olga.get_by_label("Name of a new one").fill("fresh", timeout=60_000)
    olga.get_by_role("button", name="Make this workspace").click()
    expect(olga.get_by_text("fresh is made.").first).to_be_visible(timeout=60_000)
    olga.goto(f"{studio.url}/people?workspace=fresh")
    expect(olga.get_by_text(f"{OWNER} (you)").first).to_be_visible(timeout=60_000)

    mallory = visit(browser, f"{studio.url}/?workspace=fresh")
    sign_in(mallory, "mallory")
    heading(mallory, "You are not invited")
    assert "fresh" not in mallory.inner_text("body")


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
    heading(page, "Overview|Choose a workspace")
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
    for name in ("STREAMLIT_SECRETS_FILES", "STUDIO_WORKSPACES"):
        monkeypatch.delenv(name, raising=False)
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
