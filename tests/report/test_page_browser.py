"""The page in a real headless Chromium, from a file, with the network cut."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict

import made_runs
import pytest

from modelchecks.report import compare, page, record
from modelchecks.report.numbers import unit_of

pytestmark = pytest.mark.browser

SHOWN = "[...document.querySelectorAll('#matrix tbody tr')].filter(r => !r.hidden)"
CHECKS = f"return {SHOWN}.map(r => r.querySelector('th bdi').textContent)"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_it_opens_without_network_or_complaint(browser, whole, dark, scripts):
    browser.open(whole, dark=dark, scripts=scripts)
    assert browser.console() == []
    assert browser.requests() == set()
    paper = browser.js("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (not dark)


def test_it_can_be_read_without_scripts(browser, whole):
    browser.open(whole, scripts=False)
    text = browser.js("return document.body.innerText")
    for variant in made_runs.VARIANTS:
        assert f"{variant} must not go live: live-drop[{variant}] failed." in text
    assert "FILTER" not in text.upper()  # what only works with a script is not shown
    assert browser.js("return document.querySelectorAll('#matrix tbody tr').length") == 10
    assert browser.js("return document.querySelectorAll('figure.plot svg').length") > 25
    # Folding is the browser's own.
    browser.js("document.querySelector('#passed summary').click()")
    assert browser.js("return document.querySelector('#passed details').open")


def test_no_other_script_or_style_may_act(browser, whole):
    browser.open(whole)
    browser.js(
        "const s = document.createElement('script'); s.textContent = 'document.title = 1';"
        "document.body.append(s); document.body.insertAdjacentHTML('beforeend',"
        '\'<p id=styled style="color: red" onclick="document.title = 2">x</p>\');'
        "document.getElementById('styled').click();"
        "new Image().src = 'https://example.org/x.png'; fetch('https://example.org').catch(() => 0)"
    )
    assert browser.js("return document.title") == "made-gate: modelchecks"
    assert browser.js("return document.getElementById('styled').style.color") == ""
    told = " ".join(browser.console())
    assert told.count("Content Security Policy") >= 4
    assert "ERR_NAME_NOT_RESOLVED" not in told  # nothing went as far as the network


def test_the_matrix_is_filtered(browser, whole):
    browser.open(whole)
    everything = browser.js(CHECKS)
    assert len(everything) == 10
    assert (
        browser.js("return document.querySelector('#filter-found').textContent")
        == "10 of 10 checks"
    )
    search = browser.driver.find_element("id", "filter-words")
    search.send_keys("DRIFT")
    assert browser.js(CHECKS) == ["feature_drift", "label_drift", "embedding_drift"]
    assert (
        browser.js("return document.querySelector('#filter-found').textContent") == "3 of 10 checks"
    )
    browser.js("document.querySelector('[value=passed]').click()")
    assert browser.js(CHECKS) == ["feature_drift", "embedding_drift"]
    search.clear()
    search.send_keys(" ")
    browser.js("document.querySelector('[value=passed]').click()")
    for severity, count in (("warn", 3), ("info", 2), ("block", 5), ("", 10)):
        browser.js(
            "const s = document.querySelector('#filter-severity'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input', {bubbles: true}))",
            severity,
        )
        assert len(browser.js(CHECKS)) == count


def test_the_matrix_is_sorted(browser, whole):
    browser.open(whole)
    declared = browser.js(CHECKS)

    def click(head):
        browser.js(f"document.querySelectorAll('#matrix thead button')[{head}].click()")
        heads = "return [...document.querySelectorAll('#matrix thead th')].map(h => h.ariaSort)"
        return browser.js(CHECKS), browser.js(heads)[head]

    by_variant, said = click(1)
    assert said == "ascending"
    statuses = [by_variant.index(c) for c in ("live-drop", "schema", "slices", "calibration")]
    assert statuses == sorted(statuses)  # failed, errored, inconclusive, passed
    assert by_variant[-1] == "lost"
    assert click(1) == (
        sorted(by_variant, key=lambda c: -_rank(c, by_variant, declared)),
        "descending",
    )
    assert click(0) == (declared, "ascending")


def _rank(check, worst_first, declared):
    """Return the rank of a check's status; equal ranks stay in the order of the suite."""
    groups = [["feature_drift", "live-drop", "corruption"], ["schema"], ["slices"],
              ["embedding_drift"], ["label_drift", "calibration", "latency", "lost"]]  # fmt: skip
    (rank,) = [place for place, group in enumerate(groups) if check in group]
    return rank - declared.index(check) / 100


def test_the_theme_is_switched_and_follows_the_reader(browser, whole):
    browser.open(whole)
    paper = "return getComputedStyle(document.body).backgroundColor"
    line = (
        "return getComputedStyle(document.querySelector('figure svg line, figure svg path')).stroke"
    )
    light, drawn = browser.js(paper), browser.js(line)
    browser.js("document.querySelector('#theme').click()")
    assert browser.js(paper) != light
    assert browser.js("return document.documentElement.dataset.theme") == "dark"
    assert browser.js(line) != drawn or drawn == "none"
    browser.driver.refresh()
    assert browser.js(paper) != light  # remembered
    browser.js("document.querySelector('#theme').click(); localStorage.clear()")
    assert browser.js(paper) == light


def test_a_link_opens_what_is_folded(browser, whole):
    browser.open(whole)
    browser.js("document.querySelector('#matrix a[href=\"#case-label_drift[data]\"]').click()")
    assert browser.js("return document.querySelector('#passed details').open")
    broken = browser.js(
        "return [...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href'))"
        ".filter(h => !document.getElementById(decodeURIComponent(h.slice(1))))"
    )
    assert broken == []


def test_print_shows_what_is_folded_and_no_controls(browser, whole):
    browser.open(whole, dark=True)
    folded = "return document.querySelectorAll('details:not([open])').length"
    before = browser.js(folded)
    assert before > 10
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.js(folded) == 0
    browser.js("window.dispatchEvent(new Event('afterprint'))")
    assert browser.js(folded) == before
    printed = base64.b64decode(browser.cdp("Page.printToPDF", printBackground=True)["data"])
    assert printed.startswith(b"%PDF")
    browser.scheme("dark", media="print")
    assert browser.js("return getComputedStyle(document.body).color") == "rgb(27, 31, 36)"
    hidden = "return getComputedStyle(document.querySelector(arguments[0])).display"
    for control in ("nav", "#theme", "#filter"):
        assert browser.js(hidden, control) == "none"


@pytest.mark.parametrize("width", [320, 400, 800])
def test_it_is_not_wider_than_a_telephone(browser, whole, width):
    browser.open(whole, width=width)
    assert browser.js("return document.documentElement.scrollWidth") <= width
    browser.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.js("return document.documentElement.scrollWidth") <= width
    small = browser.js(
        "return [...document.querySelectorAll('figure svg')].filter(s => s.checkVisibility())"
        ".map(s => 11 * s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
    )
    assert min(small) > (9 if width >= 400 else 7)  # CSS pixels of the smallest usual text


def test_it_is_used_by_keyboard(browser, whole):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.open(whole)
    focused = "const e = document.activeElement; return e.id || e.textContent.trim()"

    def press(*keys):
        ActionChains(browser.driver).send_keys(*keys).perform()
        return browser.js(focused)

    assert press(Keys.TAB) == "Skip to the verdicts"
    assert press(Keys.ENTER) == "main"
    browser.js("document.querySelector('#matrix thead button').focus()")
    press(Keys.ENTER)
    assert browser.js("return document.querySelector('#matrix th').ariaSort") == "ascending"
    browser.js("document.querySelector('#passed summary').focus()")
    press(Keys.SPACE)
    assert browser.js("return document.querySelector('#passed details').open")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, True), (400, False)])
def test_axe_finds_nothing_serious(browser, whole, width, dark):
    browser.open(whole, width=width, dark=dark)
    browser.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.axe() == []


def test_axe_finds_nothing_serious_in_a_comparison(browser):
    before = made_runs.run(made_runs.drop("baseline", 0.92, 0.91, "passed"), names=("baseline",))
    after = made_runs.run(made_runs.drop("baseline", 0.92, 0.81), names=("baseline",))
    browser.open(compare.render(compare.compare(before, after)), dark=True)
    assert browser.console() == []
    assert browser.axe() == []


def test_hostile_names_do_nothing(browser):
    run = made_runs.hostile()
    browser.open(page.render(run))
    assert browser.console() == []
    assert browser.requests() == set()
    assert browser.js("return document.title").endswith(": modelchecks")
    assert browser.js("return document.title") != "owned"
    assert browser.js("return document.querySelectorAll('script').length") == 1
    odd = browser.js(
        "return [...document.querySelectorAll('*')].filter(e => "
        "[...e.attributes].some(a => /^on/i.test(a.name) || /^style$/i.test(a.name)) "
        "|| /^(iframe|object|embed|base|form|foreignobject)$/i.test(e.tagName) && e.id !== 'filter'"
        "|| e.tagName === 'IMG' && !e.src.startsWith('data:image/png;base64,')"
        "|| e.tagName === 'A' && !e.getAttribute('href').startsWith('#')"
        "|| e.tagName === 'B' && e.textContent === 'out').map(e => e.outerHTML.slice(0, 200))"
    )
    assert odd == []
    text = browser.js("return document.body.textContent")
    for shown in ("<script>document.title='owned'</script>", "{{ 7 * 7 }}", "${alert(1)}", "שלום"):
        assert shown in text
    controls = [
        c for c in text if (ord(c) < 32 and c not in "\t\n\r") or 0x202A <= ord(c) <= 0x202E
    ]
    assert controls == []
    ids = browser.js("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_the_figures_are_those_of_the_record(browser, tmp_path):
    made = made_runs.everything()
    (tmp_path / "run.json").write_text(record.dumps(made), encoding="utf-8")
    told = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    browser.open(page.render(record.read(tmp_path / "run.json")))
    numbers = (
        "return Object.fromEntries([...document.querySelectorAll('.case')].map(c => [c.id, "
        "[...c.querySelectorAll('data')].map(d => [d.value, d.textContent])]))"
    )
    cases = browser.js(numbers)
    cells = browser.js(
        "return Object.fromEntries([...document.querySelectorAll('#matrix td')].map(c => "
        "[c.querySelector('a').getAttribute('href').slice(1), "
        "[...c.querySelectorAll('data')].map(d => [d.value, d.textContent])]))"
    )
    results = {f"case-{r['case']}": r for r in told["results"]}
    assert set(cases) == set(cells) == set(results)
    for case, found in results.items():
        estimate, unit = found["estimate"], unit_of(_result(made, found["case"]))
        keys = ("value", "low", "high", "lower_bound", "upper_bound", "n")
        expected = [] if estimate is None else [estimate[key] for key in keys]
        expected += [] if found["needed"] is None else [found["needed"]]
        assert [float(value) for value, _ in cases[case]] == expected
        assert [float(value) for value, _ in cells[case]] == expected[:3]
        if estimate is not None:
            shown = [unit.full(estimate["value"]), *(unit.bare(estimate[k]) for k in keys[1:3])]
            assert [text for _, text in cases[case]][:3] == shown
            assert [text for _, text in cells[case]] == shown

    tables = browser.js(
        "return Object.fromEntries([...document.querySelectorAll('figure')].filter(f => "
        "f.querySelector('table')).map(f => [f.querySelector('figcaption').innerText, "
        "[...f.querySelectorAll('tbody tr')].map(r => [r.querySelector('th').textContent, "
        "...[...r.querySelectorAll('data')].map(d => Number(d.value))])]))"
    )
    drops = [r for r in told["results"] if r["check"] == "accuracy_drop"]
    plotted = iter(tables["live-drop: offline against live"])
    for r in drops:
        sides = [r["details"][side]["value"] for side in ("offline", "live")]
        values = [*sides, r["estimate"]["value"], r["details"]["live"]["n"]]
        assert next(plotted) == [r["variant"], *values]
        by_name = {row["name"]: row for row in r["details"]["per_class"]}
        rows = tables[f"{r['variant']}: right answers by class"]
        assert {name for name, *_ in rows} == set(by_name)
        for name, offline, live, lost, n in rows:
            row = by_name[name]
            assert [offline, live] == [row["offline"]["value"], row["live"]["value"]]
            assert [lost, n] == [row["drop"], row["live"]["n"]]


def _result(run, case):
    (found,) = [r for r in run.results if r.case == case]
    assert found.estimate is None or asdict(found.estimate)
    return found


@pytest.mark.slow
def test_three_variants_times_forty_cases_are_small_and_quick_to_show(browser):
    made = made_runs.large()
    assert len({r.case.partition("[")[0] for r in made.results}) >= 40
    html = page.render(made)
    assert len(html.encode()) <= 1_500_000
    browser.open(html)
    assert browser.console() == []
    # When it was painted is printed by the benchmark; here, that it was.
    assert browser.js("return performance.getEntriesByName('first-contentful-paint').length") == 1
