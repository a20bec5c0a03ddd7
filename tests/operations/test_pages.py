"""Prefect's pages as a person meets them, in a real browser: the run form, the run page, Retry and Cancel."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from looking import look_until
from operations.houses import AT_NIGHT, House

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Install Chromium to try Prefect's pages in a browser.")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run"]
MILLISECONDS = 30_000


@pytest.fixture(scope="module")
def signed_in(standing_house: House) -> Iterator[Page]:
    """A browser's page, signed in."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(MILLISECONDS)
        page.goto(standing_house.pages)
        page.locator("input").first.fill(standing_house.secret)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Deployments").wait_for()
        yield page
        browser.close()


@pytest.fixture
def page(house: House, signed_in: Page) -> Page:
    """The browser's page at the start of Prefect's pages, in a house that is ready for a test."""
    signed_in.goto(house.pages)
    return signed_in


def open_form(page: Page, deployment: str, field: str = "max_rejects") -> None:
    """Open a deployment's run form, as far as a field of it."""
    page.get_by_role("link", name="Deployments").click()
    page.get_by_role("link", name=deployment, exact=True).first.click()
    page.get_by_role("button", name="Run", exact=True).first.click()
    page.get_by_text("Custom run").first.click()
    page.get_by_label(field).wait_for()


def answer_to_submit(page: Page) -> Response | None:
    """What Prefect answers to the form; None if it met its own SQLite file locked, and asks to be asked again."""
    # The message with "View run" is gone after seconds, which a busy machine may not show in time.
    with page.expect_response(lambda answer: answer.url.endswith("/create_flow_run")) as waited:
        page.get_by_role("button", name="Submit").click()
    return None if waited.value.status == 503 else waited.value


def submit(house: House, page: Page) -> str:
    """Submit the form and open the run's page; the id of the flow run."""
    answer = look_until(lambda: answer_to_submit(page))
    assert answer.status == 201, answer.text()
    run_id = answer.json()["id"]
    page.goto(f"{house.pages}/v2/runs/flow-run/{run_id}")
    return run_id


def menu(page: Page) -> None:
    page.locator("button:has(svg.lucide-ellipsis-vertical)").first.click()


def flow_run(house: House, run_id: str) -> Any:
    return house.client.read_flow_run(run_id)


def test_the_form_is_filled_and_the_run_page_tells_what_came_of_it(house: House, page: Page) -> None:
    house.shop.write_csv("products.csv", [{"sku": f"S-{n}", "name": "" if n == 2 else "Rake"} for n in range(1, 5)])
    open_form(page, "ad-hoc")
    page.get_by_text("Hold this run after so many rejected rows, such as 100 or 1%.").wait_for()
    shown = page.locator("body").inner_text()
    for field in ("feed", "file", "fresh", "max_rejects", "force"):
        assert re.search(rf"^{field}\b", shown, re.MULTILINE), field

    page.get_by_text("Select", exact=True).first.click()
    page.get_by_role("option", name="products").click()
    page.get_by_label("max_rejects").fill("50%")
    run = flow_run(house, submit(house, page))

    state = house.ended(run)
    assert state.name == "Completed with rejects", state.message
    ended = flow_run(house, run.id)
    asked = {"feed": "products", "max_rejects": "50%", "file": "", "fresh": False, "force": False}
    assert {**asked, **ended.parameters} == asked
    assert re.fullmatch(r"products \d{4}-\d\d-\d\d", ended.name)
    page.get_by_text("Completed with rejects").first.wait_for()
    for chunk in ("chunk 1", "chunk 2"):
        assert chunk in {each.name for each in house.client.read_task_runs()}
    page.get_by_role("tab", name="Artifacts").click()
    for artifact in ("products-summary", "products-counts", "products-rejects", "products-progress"):
        page.get_by_text(artifact).first.wait_for()


def test_the_form_of_a_feed_asks_for_no_feed(house: House, page: Page) -> None:
    open_form(page, "products")

    page.get_by_text("A file to read this time in place of the feed's own source").wait_for()
    shown = page.locator("body").inner_text()
    assert re.search(r"^max_rejects\b", shown, re.MULTILINE)
    assert not re.search(r"^feed\b", shown, re.MULTILINE)


def test_a_run_without_a_feed_is_refused_by_the_form(house: House, page: Page) -> None:
    open_form(page, "ad-hoc")

    page.get_by_role("button", name="Submit").click()

    page.get_by_text("feed is required").or_(page.get_by_text("required")).first.wait_for()
    assert "/run?" in page.url


def test_retry_loads_what_is_left_and_nothing_else(house: House, page: Page) -> None:
    with house.told("broken"):
        run = house.start("sync-products/products")
        assert house.ended(run).name == "Incomplete"
    before = house.shop.execute("SELECT number, loaded_at FROM restock_chunk WHERE status = 'loaded'")
    page.goto(f"{house.pages}/v2/runs/flow-run/{run.id}")

    menu(page)
    page.get_by_role("menuitem", name="Retry").click()
    page.get_by_role("button", name=re.compile("Retry|Confirm")).first.click()

    look_until(lambda: flow_run(house, run.id).run_count == 2 or None)
    assert house.ended(run).name == "Completed"
    after = house.shop.execute("SELECT number, loaded_at FROM restock_chunk WHERE status = 'loaded'")
    assert [each for each in after if each["number"] != 2] == before
    assert len(house.shop.rows("product")) == 6
    assert len(house.shop.execute("SELECT run_id FROM restock_run")) == 1


def test_a_failed_chunk_is_loaded_again_from_its_form(house: House, page: Page) -> None:
    with house.told("broken"):
        run = house.start("sync-products/products")
        assert house.ended(run).name == "Incomplete"

    open_form(page, "by-hand", "run_id")
    again = flow_run(house, submit(house, page))

    assert house.ended(again).name == "Completed"
    assert len(house.shop.rows("product")) == 6


@AT_NIGHT
def test_cancel_stops_at_the_border_of_a_chunk_and_the_next_run_goes_on(house: House, page: Page) -> None:
    house.fill(40)
    with house.told("slow", "1"):
        run = house.start("sync-products/products")
        house.has_begun(run)
        page.goto(f"{house.pages}/v2/runs/flow-run/{run.id}")

        menu(page)
        page.get_by_role("menuitem", name="Cancel").click()
        page.get_by_role("button", name=re.compile("Cancel run|Confirm|Cancel flow run", re.IGNORECASE)).first.click()
        state = house.ended(run)

    assert state.name == "Cancelled", state.message
    chunks = house.shop.execute("SELECT status, attempts, row_count FROM restock_chunk ORDER BY number")
    loaded = [each for each in chunks if each["status"] == "loaded"]
    assert 0 < len(loaded) < 20
    assert {each["status"] for each in chunks} == {"loaded", "planned"}
    assert len(house.shop.rows("product")) == 2 * len(loaded)
    assert house.shop.execute("SELECT status FROM restock_run") == [{"status": "incomplete"}]
    assert house.ended(house.start("sync-products/products")).name == "Completed"
    assert len(house.shop.execute("SELECT run_id FROM restock_run")) == 1
    assert len(house.shop.rows("product")) == 40
