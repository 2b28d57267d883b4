"""The page in a real browser: what it says is what the API answers, on a desk and on a phone, by mouse and keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from tests.serving.conftest import add_score, set_clock
from tests.serving.page.conftest import DESKTOP, PHONE, Seen, Site, settled
from tests.serving.page.looked_at import AS_OF, HOUR, TIME

Look = Callable[..., Seen]
CHARTS = ["history", "reliability", "allocations", "fan", "drawdown", "premium"]


def subject(page: Page, name: str) -> Any:
    return page.locator(f'.subject[data-subject="{name}"]')


def said(page: Page, selector: str) -> str:
    return " ".join(page.locator(selector).inner_text().split())


@pytest.fixture(scope="module")
def at_a_desk(site: Site, browser: Any) -> Iterator[Page]:
    """One page for all tests that only read."""
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto(f"{site.url}/?subject=BTC&horizon=1")
    settled(page)
    yield page
    context.close()


def test_the_score_is_read_with_its_meaning(at_a_desk: Page) -> None:
    assert said(at_a_desk, "#mode") == "data mode: Simulated"
    assert said(at_a_desk, "#clock") == "market time 2026-01-02 07:00 UTC"
    assert said(at_a_desk, "#big-score") == "VolatilityScore 55 of 100"
    # 55 is odds of 55 to 45 against the usual ones.
    assert "1.2 times the usual odds of a volatility spike within the next day" in said(at_a_desk, "#hero")
    hero = said(at_a_desk, "#hero")
    for part in ("15.0 %", "38.0 %", "80 % interval 19.0 to 53.7 %", "90 %", "seen before", "version 3", "5.00 %",
                 "2026-01-02 06:00", "2026-01-02 08:00"):  # fmt: skip
        assert part in hero, part


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("reliability", "334 out-of-sample forecasts with a known outcome"),
        ("drivers", "× 1.28"),  # exp(0.25)
        ("history", "Table of this history"),
        ("allocation", "risk off"),
        ("allocation", "score above the level at which risk is taken off"),
        ("decisions", "confirmed"),
        ("stress-about", "200 paths of 10 days"),
        ("fan", "Largest fall, exceeded by 1 path in 20"),
        ("drawdown", "Share of paths that fall at least so far"),
        ("premiums", "+5.0 %"),
        ("premiums", "source is delisted; last it was"),
        ("premium", "Table of premiums"),
        ("series", "stale"),
        ("series", "simulator"),
        ("gaps", "Open gaps: 1"),
        ("jobs", "hourly refresh"),
        ("health", "degraded: 1 reason"),
        ("notices", "1 stale series: USDNGN:official"),
    ],
)
def test_each_part_says_what_the_api_answers(at_a_desk: Page, part: str, says: str) -> None:
    assert says in said(at_a_desk, f"#{part}")


def test_charts_have_words_and_numbers_beside_them(at_a_desk: Page) -> None:
    for chart in CHARTS:
        for plot in at_a_desk.locator(f"#{chart} .plot").all():
            assert plot.get_attribute("role") == "img"
            assert len(plot.get_attribute("aria-label") or "") > 40
            assert plot.locator("canvas").count() == 1
        assert at_a_desk.locator(f"#{chart} details.numbers").count() >= 1
    assert "49 issued scores" in (at_a_desk.locator("#history .plot").get_attribute("aria-label") or "")


def test_headings_and_landmarks_make_an_outline(at_a_desk: Page) -> None:
    levels = [int(tag[1]) for tag in at_a_desk.eval_on_selector_all("h1,h2,h3,h4", "all => all.map(e => e.tagName)")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("header", "main", "footer", "nav[aria-label]"):
        assert at_a_desk.locator(landmark).count() == 1


def test_numbers_of_a_chart_are_there_when_asked_for(look: Look) -> None:
    page = look("/?subject=BTC").page
    page.locator("#history summary").click()
    rows = page.locator("#history tbody tr")
    expect(rows.first).to_contain_text("2026-01-02 06:00")
    expect(rows.first).to_contain_text("55.0")
    page.locator("#premium summary").click()
    tenth = page.locator("#premium tbody tr", has_text="2025-12-23")
    expect(tenth).to_contain_text("not available")


def test_another_series_and_horizon_are_chosen_and_kept_in_the_address(look: Look) -> None:
    seen = look("/")
    page = seen.page
    assert said(page, "#score-title") == "Vault mixed"
    subject(page, "BTC").click()
    expect(page.locator("#big-score")).to_contain_text("55")
    page.locator("#horizon label", has_text="7 days").click()
    expect(page.locator("#big-score")).to_contain_text("83")
    expect(page.locator("#hero")).to_contain_text("4.7 times the usual odds")
    expect(page.locator("#hero")).to_contain_text("a measure of one day")
    settled(page)
    assert "no walk-forward" not in said(page, "#history"), "what was issued is drawn all the same"
    assert "no walk-forward of 'BTC' at that horizon" in said(page, "#reliability")
    assert page.url.endswith("?subject=BTC&horizon=7") or "subject=BTC&horizon=7" in page.url
    page.reload()
    settled(page)
    assert said(page, "#big-score").startswith("VolatilityScore 83")
    assert seen.outside == []


def test_what_is_missing_stays_missing_and_says_why(look: Look) -> None:
    page = look("/?subject=USDNGN:official").page
    assert said(page, "#big-score") == "VolatilityScore –"
    hero = said(page, "#hero")
    assert "There is no number: quarantined: the newest print is held" in hero
    assert hero.count("not available") == 5, "probability, volatility, loss, confidence, novelty"
    assert "0.0 %" not in hero
    assert "Without a number there are no drivers" in said(page, "#drivers")


def test_an_expired_score_is_marked(look: Look) -> None:
    page = look("/?subject=ETH").page
    assert "expired" in said(page, '.subject[data-subject="ETH"]')
    assert "must not be used as fresh" in said(page, "#hero")


@pytest.mark.parametrize(("system", "chosen", "then"), [("light", "Dark", "dark"), ("dark", "Light", "light")])
def test_theme_follows_the_system_and_the_choice_is_remembered(look: Look, system: str, chosen: str, then: str) -> None:
    page = look("/", color_scheme=system).page
    dark = "parseFloat(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) < 100"
    assert page.evaluate(dark) is (system == "dark")
    page.locator("#theme label", has_text=chosen).click()
    assert page.evaluate(dark) is (then == "dark")
    page.reload()
    assert page.evaluate(dark) is (then == "dark")
    page.locator("#theme label", has_text="Auto").click()
    assert page.evaluate(dark) is (system == "dark")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_leaves_the_host(
    look: Look, viewport: dict[str, int], theme: str
) -> None:
    seen = look("/?subject=BTC&horizon=1", viewport, color_scheme=theme, reduced_motion="reduce")
    for summary in seen.page.locator("#history summary, #fan summary").all():
        summary.click()
    found = Axe().run(seen.page).response["violations"]
    told = [(each["id"], each["impact"], [node["target"] for node in each["nodes"]][:5]) for each in found]
    assert [each for each in told if each[1] in ("serious", "critical", "moderate")] == []
    width = seen.page.evaluate("document.documentElement.scrollWidth")
    assert width == viewport["width"], "nothing but its own boxes scrolls sideways"
    assert (seen.errors, seen.outside) == ([], [])


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_a_new_score_arrives_by_itself(look: Look, site: Site, viewport: dict[str, int]) -> None:
    name = f"NEW{viewport['width']}"
    first = {"as_of": AS_OF, "issued_at": AS_OF, "valid_until": AS_OF + 2 * HOUR, "subject": name}
    add_score(site.engine, **first, score=30.0)
    page = look(f"/?subject={name}", viewport).page
    expect(page.locator("#link")).to_contain_text("live updates")
    assert "30" in said(page, "#big-score")
    later = AS_OF + HOUR
    add_score(site.engine, **(first | {"as_of": later, "issued_at": later}), score=91.0, p_spike=0.53)
    expect(page.locator("#big-score")).to_contain_text("91")
    expect(page.locator("#announce")).to_have_text(f"New score of {name}: 91 of 100, very high.")
    expect(page.locator("#hero")).to_contain_text("10 times the usual odds")
    expect(subject(page, name)).to_have_attribute("aria-pressed", "true")


def write_alert(engine: Engine, n: int, event: str, summary: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ops.alert_events (dedup_key, name, scope, event, episode, n, count, severity, summary, "
                "facts, evidence, runbook, since, at, data_mode) values ('job_late:keeper', 'job_late', 'keeper', "
                ":event, 1, :n, 1, 'warning', :summary, '{}', '', '', :at, :at, 'simulated')"
            ),
            {"n": n, "event": event, "summary": summary, "at": TIME},
        )


def test_an_alert_is_shown_until_it_is_cleared(look: Look, site: Site) -> None:
    page = look("/").page
    expect(page.locator("#link")).to_contain_text("live updates")
    write_alert(site.engine, 0, "raised", "the keeper has not run for 4 h")
    told = page.locator(".notice", has_text="Alert: job late, keeper")
    expect(told).to_contain_text("the keeper has not run for 4 h")
    write_alert(site.engine, 1, "cleared", "the keeper runs again")
    expect(told).to_have_count(0)


def test_a_new_decision_is_fetched(look: Look, site: Site) -> None:
    page = look("/").page
    expect(page.locator("#link")).to_contain_text("live updates")
    with site.engine.begin() as connection:
        connection.execute(
            text(
                "insert into keeper.decisions (id, vault_id, policy_version, verdict, reasons, inputs, data_mode, "
                "phase, market_time) values (gen_random_uuid(), 'mixed', 'p', 'refuse', '{kill_switch_halt}', '{}', "
                "'simulated', 'shadow', :at)"
            ),
            {"at": TIME},
        )
    expect(page.locator("#decisions tbody tr").first).to_contain_text("halted by the kill switch")


def test_without_a_stream_the_page_asks_again(look: Look, site: Site, browser: Any) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.route("**/v1/stream", lambda route: route.fulfill(status=404, body=""))
    page.clock.install()
    page.goto(site.url)
    settled(page)
    expect(page.locator("#link")).to_contain_text("asking again")
    with page.expect_request("**/v1/risk/current"):
        page.clock.run_for(61_000)
    context.close()


def test_errors_are_told_in_the_words_of_the_api(look: Look, site: Site) -> None:
    page = look("/").page
    problem = {"type": "urn:x", "title": "Scores cannot be read", "status": 503, "code": "database_unavailable",
               "detail": "The database does not answer.", "instance": "/", "request_id": "abc"}  # fmt: skip
    for path in ("risk/current", "market/gaps", "decisions"):
        page.route(f"**/v1/{path}*", lambda route: route.fulfill(status=503, json=problem))
    expect(page.locator("#link")).to_contain_text("live updates")
    add_score(site.engine, subject="LATER", as_of=AS_OF, issued_at=AS_OF, valid_until=AS_OF + 2 * HOUR, score=40.0)
    told = page.locator('.notice[data-kind="error"]')
    expect(told).to_contain_text("Scores cannot be read")
    expect(told).to_contain_text("The database does not answer.")
    expect(page.locator("#decisions .problem")).to_contain_text("database_unavailable · request abc")
    assert said(page, "#big-score") == "VolatilityScore 20 of 100", "what was last known stays, with the error above it"
    page.unroute_all()
    page.locator("#decisions .problem button").click()
    expect(page.locator("#decisions tbody tr")).not_to_have_count(0)


def test_all_expired_is_told_with_what_was_last_known(look: Look, site: Site) -> None:
    set_clock(site.engine, TIME + 48 * HOUR)
    try:
        page = look("/?subject=BTC").page
        expect(page.locator('.notice[data-kind="error"]')).to_contain_text("Every score asked for has expired")
        assert "expired" in said(page, "#hero")
        assert "55" in said(page, "#big-score")
        assert "target expired" in said(page, "#allocation")
    finally:
        set_clock(site.engine, TIME)


def test_everything_is_reached_by_keyboard(look: Look) -> None:
    page = look("/?subject=BTC&horizon=1").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        own = "e => e.closest('[id]')?.id + ' ' + e.tagName"
        reached.append(page.evaluate(f"({own})(document.activeElement)"))
    for part in ("subject-list BUTTON", "horizon INPUT", "range INPUT", "history SUMMARY", "decisions A",
                 "streets INPUT", "gaps DIV"):  # fmt: skip
        assert part in reached, part
    subject(page, "ETH").focus()
    page.keyboard.press("Space")
    expect(page.locator("#score-title")).to_have_text("ETH")
    assert page.evaluate("document.activeElement.dataset.subject") == "ETH", "focus stays where it was"
    subject(page, "BTC").press("Enter")
    page.locator("#horizon input:checked").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#big-score")).to_contain_text("83")
