"""Pages of a benchmark in a browser without a screen: `make page-test`, or

PAGES=runs/bench AXE=node_modules/axe-core/axe.min.js SHOTS=runs/shots python -m pytest tests/peers/pages_in_browser.py

with Debian's ``chromium`` and ``chromium-driver``, selenium, and in PAGES what ``eqmodels page --demo`` wrote. What can
be tested without a browser is in ``tests/pages``.
"""

from __future__ import annotations

import base64
import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

import eqmodels
from eqmodels.evaluation import Motion, View
from eqmodels.pages.demo import NETWORKS, STEP

PAGES = Path(os.environ.get("PAGES", "runs/bench")).resolve()
AXE = Path(os.environ.get("AXE", "node_modules/axe-core/axe.min.js"))
SHOTS = Path(os.environ.get("SHOTS", "runs/shots"))
DESK, PHONE = (1280, 900), (390, 844)
PATIENCE = 240


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = "/usr/bin/chromium"
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    with webdriver.Chrome(options=options, service=service) as driver:
        driver.set_script_timeout(PATIENCE)
        yield driver


def resize(browser, size, scheme="light"):
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def visit(browser, name, size=DESK, scheme="light"):
    resize(browser, size, scheme)
    browser.get_log("browser")
    browser.get("about:blank")
    browser.get(f"file://{PAGES / name}")


def settled(browser):
    """Waits until the networks of the demo have answered."""
    browser.execute_async_script(
        """const done = arguments[0];
        const wait = async () => { const busy = demo.busy; await busy; return busy === demo.busy ? done() : wait(); };
        wait();"""
    )
    assert browser.execute_script("return demo.answers !== null"), browser.find_element(By.ID, "state").text


def seen(browser):
    """Scrolls through the page, so that every chart is drawn; whether all are."""
    height = browser.execute_script("return document.documentElement.scrollHeight")
    for place in range(0, height, 500):
        browser.execute_script("scrollTo(0, arguments[0])", place)
        time.sleep(0.1)
    missing = """return [...document.querySelectorAll('.plot')]
        .filter((plot) => plot.offsetParent && !plot.querySelector('svg path')).map((plot) => plot.id)"""
    WebDriverWait(browser, 30).until(lambda _: browser.execute_script(missing) == [])
    browser.execute_script("scrollTo(0, 0)")


def column(browser, number):
    """The words of one column of the table, as it is now."""
    rows = browser.find_elements(By.CSS_SELECTOR, "#all tbody tr")
    return [row.find_elements(By.TAG_NAME, "td")[number].text for row in rows]


def changed(browser, number, before):
    """The words of a column once they are in another order than before."""
    WebDriverWait(browser, 10).until(lambda _: column(browser, number) != before)
    return column(browser, number)


def title(browser, words):
    heads = browser.find_elements(By.CSS_SELECTOR, "#all thead th")
    return next((number, head) for number, head in enumerate(heads) if head.text.strip() == words)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_loads_and_draws_everything_without_a_complaint(browser, size):
    visit(browser, "index.html", size)
    seen(browser)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    loaded = "return performance.getEntriesByType('resource').map((one) => one.name)"
    assert [name for name in browser.execute_script(loaded) if not name.startswith("data:")] == []


def test_a_click_sorts_and_another_one_turns_the_order_round(browser):
    visit(browser, "index.html")
    number, head = title(browser, "turned")
    before = column(browser, number)
    head.click()
    first = changed(browser, number, before)
    head.click()
    second = changed(browser, number, first)
    accuracies = [float(words.split()[0]) for words in first]
    assert sorted(accuracies) in (accuracies, accuracies[::-1])
    assert second == first[::-1]
    assert head.get_attribute("aria-sort") in ("ascending", "descending")


def test_the_keyboard_sorts(browser):
    visit(browser, "index.html")
    number, head = title(browser, "parameters")
    before = column(browser, number)
    for _ in range(60):
        webdriver.ActionChains(browser).send_keys(Keys.TAB).perform()
        if browser.execute_script("return arguments[0].contains(document.activeElement)", head):
            break
    else:
        raise AssertionError("the title of the column cannot be reached by Tab")
    webdriver.ActionChains(browser).send_keys(Keys.ENTER).perform()
    after = changed(browser, number, before)
    counts = [int(words.replace(",", "")) for words in after]
    assert counts in (sorted(counts), sorted(counts, reverse=True))


def test_words_and_choices_filter(browser):
    visit(browser, "index.html")
    rows = len(column(browser, 0))
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("c4_")
    WebDriverWait(browser, 10).until(lambda _: 0 < len(column(browser, 0)) < rows)
    assert all("c4_" in name for name in column(browser, 0))
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys(Keys.BACKSPACE * 3)
    Select(browser.find_element(By.ID, "filter-group")).select_by_visible_text("d4")
    WebDriverWait(browser, 10).until(lambda _: set(column(browser, 2)) == {"d4"})
    Select(browser.find_element(By.ID, "filter-group")).select_by_visible_text("all")
    WebDriverWait(browser, 10).until(lambda _: len(column(browser, 0)) == rows)


def drawn(browser, section):
    """How many points or lines the charts of a section have."""
    marks = f"#{section} .plot .mark-symbol[class*=layer] path, #{section} .plot .mark-line[class*=layer] path"
    return len(browser.find_elements(By.CSS_SELECTOR, marks))


@pytest.mark.parametrize("section", ["cost", "labels", "angles"])
def test_what_filters_the_table_filters_the_charts(browser, section):
    visit(browser, "index.html")
    seen(browser)
    before = drawn(browser, section)
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("c4_")
    WebDriverWait(browser, 10).until(lambda _: 0 < drawn(browser, section) < before)
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys(Keys.BACKSPACE * 3)
    WebDriverWait(browser, 10).until(lambda _: drawn(browser, section) == before)
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def test_a_name_leads_to_the_page_of_a_network_and_back(browser):
    visit(browser, "index.html")
    link = browser.find_element(By.CSS_SELECTOR, "#all tbody a")
    name = link.text
    link.send_keys(Keys.ENTER)
    article = browser.find_element(By.CSS_SELECTOR, "article.network:target")
    assert article.is_displayed()
    assert not browser.find_element(By.TAG_NAME, "main").is_displayed()
    assert browser.title == article.find_element(By.TAG_NAME, "h2").text == name
    seen(browser)
    article.find_element(By.PARTIAL_LINK_TEXT, "all networks").click()
    assert browser.find_element(By.TAG_NAME, "main").is_displayed()
    assert browser.get_log("browser") == []


def test_the_reader_chooses_the_accuracy_of_a_chart(browser):
    visit(browser, "index.html")
    seen(browser)
    plot = browser.find_element(By.CSS_SELECTOR, "#cost .plot")
    paths = (
        "return [...arguments[0].querySelectorAll('.mark-symbol path')].map(p => p.getAttribute('transform')).join()"
    )
    before = browser.execute_script(paths, plot)
    Select(plot.find_element(By.TAG_NAME, "select")).select_by_visible_text("upright")
    WebDriverWait(browser, 10).until(lambda _: browser.execute_script(paths, plot) != before)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_name_lies_on_another_one_or_on_a_point(browser, size):
    visit(browser, "index.html", size)
    seen(browser)
    places = """return [...document.querySelectorAll('#cost .plot')].map((plot) => {
        const box = (part) => { const { left, right, top, bottom } = part.getBoundingClientRect();
            return { left, right, top, bottom }; };
        const points = [...plot.querySelectorAll('.mark-symbol[class*=layer] path')].map(box);
        return { points, names: [...plot.querySelectorAll('.mark-text[class*=layer] text')]
            .filter((name) => getComputedStyle(name).opacity > 0).map(box) }; })"""
    charts = browser.execute_script(places)
    assert all(chart["names"] and chart["points"] for chart in charts)
    for chart in charts:
        for number, name in enumerate(chart["names"]):
            for other in [*chart["names"][:number], *chart["points"]]:
                across = min(name["right"], other["right"]) - max(name["left"], other["left"])
                down = min(name["bottom"], other["bottom"]) - max(name["top"], other["top"])
                # The box of a line of words is higher than its letters, and that of a point wider than its round.
                assert across < 3 or down < 6, (name, other)


def test_maps_turn_with_the_slider(browser):
    visit(browser, "index.html")
    part = browser.find_element(By.CSS_SELECTOR, ".turning")
    slider = part.find_element(By.CSS_SELECTOR, "input[type=range]")
    shown = "return [...arguments[0].querySelectorAll('[data-part]')].map(p => p.src ?? p.textContent)"
    before = browser.execute_script(shown, part)
    slider.send_keys(Keys.ARROW_RIGHT)
    after = browser.execute_script(shown, part)
    assert part.find_element(By.CSS_SELECTOR, "output").text == "105°"
    assert all(old != new for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "index.html#", "demo.html"])
def test_axe_finds_no_serious_fault(browser, name, scheme):
    visit(browser, name.rstrip("#"), DESK, scheme)
    if name == "demo.html":
        settled(browser)
    elif name.endswith("#"):
        browser.find_element(By.CSS_SELECTOR, "#all tbody a").click()
        browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        seen(browser)
    else:
        seen(browser)
    browser.execute_script(AXE.read_text())
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    faults = [
        (one["id"], one["help"], [node["target"] for node in one["nodes"]][:3])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert len(found["passes"]) > 15
    assert faults == []


def test_the_demo_loads_from_the_disk_without_a_complaint(browser):
    visit(browser, "demo.html")
    settled(browser)
    assert browser.get_log("browser") == []
    assert "Now turn it" in browser.find_element(By.ID, "state").text
    assert browser.execute_script("return document.documentElement.scrollWidth") <= DESK[0]


def answers(browser, name="answers"):
    script = f"""return demo.{name}.map(({{ features, scores, similarities }}) =>
        ({{ features: [...features], scores: [...scores], similarities: [...similarities] }}))"""
    return [{key: torch.tensor(values) for key, values in one.items()} for one in browser.execute_script(script)]


def change(one, other):
    return float((one - other).norm() / other.norm())


def test_quarter_turns_leave_the_features_of_c4_and_change_those_of_the_resnet(browser):
    visit(browser, "demo.html")
    settled(browser)
    upright = answers(browser, "upright")
    slider = browser.find_element(By.ID, "angle")
    words = [part.text for part in browser.find_elements(By.CSS_SELECTOR, ".network")]
    for quarter in (1, 2, 3):
        for _ in range(90 // STEP):
            slider.send_keys(Keys.ARROW_RIGHT)
        settled(browser)
        assert browser.find_element(By.ID, "degrees").text == f"{90 * quarter}°"
        ours, theirs = answers(browser)
        for name in ("features", "scores", "similarities"):
            assert float((ours[name] - upright[0][name]).abs().max()) < 1e-4, name
        assert change(theirs["features"], upright[1]["features"]) > 0.05
        now = [part.text for part in browser.find_elements(By.CSS_SELECTOR, ".network")]
        # What is read under the number of the change stays: classes and neighbours.
        assert now[0].partition("Features")[2] == words[0].partition("Features")[2]
        assert now[1].partition("Features")[2] != words[1].partition("Features")[2]
    assert "6 of 6" in now[0]


def pictures():
    generator = np.random.default_rng(0)
    blocks = generator.integers(0, 256, (13, 21, 4), dtype=np.uint8)
    large = Image.fromarray(blocks[..., :3]).resize((310, 201), Image.Resampling.BICUBIC)
    palette = large.quantize(17)
    return {
        "colour": large,
        "small": Image.fromarray(blocks[..., :3]),
        "transparent": Image.fromarray(blocks, "RGBA"),
        "grey": large.convert("L"),
        "palette": palette,
        "tall": large.transpose(Image.Transpose.ROTATE_90).resize((97, 333)),
    }


@pytest.mark.parametrize("kind", pictures())
def test_a_dropped_file_is_processed_as_by_transform(browser, kind):
    picture = pictures()[kind]
    if kind == "colour":
        visit(browser, "demo.html")
        settled(browser)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    browser.execute_script(
        """const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], arguments[1], { type: "image/png" }));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));""",
        base64.b64encode(buffer.getvalue()).decode(),
        f"{kind}.png",
    )
    settled(browser)
    assert browser.find_element(By.ID, "state").text.startswith(f"{kind}.png")
    encoder = eqmodels.load(NETWORKS[0])
    with Image.open(io.BytesIO(buffer.getvalue())) as again:
        expected = encoder.transform()(again)
    found = torch.tensor(browser.execute_script("return [...demo.input]")).view_as(expected)
    assert float((found - expected).abs().max()) < 1e-3


def test_a_photograph_is_turned_upright_as_its_camera_noted_it(browser, tmp_path):
    visit(browser, "demo.html")
    settled(browser)
    photograph, notes = pictures()["colour"], Image.Exif()
    notes[0x0112] = 6
    photograph.save(tmp_path / "mine.jpg", quality=95, exif=notes)
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "mine.jpg"))
    settled(browser)
    with Image.open(tmp_path / "mine.jpg") as again:
        expected = eqmodels.load(NETWORKS[0]).transform()(again)
    found = torch.tensor(browser.execute_script("return [...demo.input]")).view_as(expected)
    # Decoders of JPEG round in their own ways: by a level or two of 255.
    assert float((found - expected).abs().max()) < 0.03


def test_a_picture_of_the_disk_is_turned_and_answered_as_by_the_package(browser, tmp_path):
    visit(browser, "demo.html")
    settled(browser)
    file = tmp_path / "mine.png"
    pictures()["colour"].save(file)
    browser.find_element(By.ID, "file").send_keys(str(file))
    settled(browser)
    slider = browser.find_element(By.ID, "angle")
    for _ in range(30 // STEP):
        slider.send_keys(Keys.ARROW_RIGHT)
    settled(browser)
    encoder = eqmodels.load(NETWORKS[0])
    with Image.open(file) as picture:
        images = encoder.transform()(picture)[None]
    given = View(Motion.by_degrees(30), circular=True).of(images)
    turned = browser.execute_script("return [...preprocessing.turned(demo.input, 96, 30)]")
    assert float((torch.tensor(turned).view_as(given) - given).abs().max()) < 1e-3
    with torch.no_grad():
        expected = encoder(given)[0]
    # The filters of the page have 16 bits.
    assert change(answers(browser)[0]["features"], expected) < 5e-3


def test_what_is_no_picture_is_said_to_be_none(browser, tmp_path):
    visit(browser, "demo.html")
    settled(browser)
    file = tmp_path / "words.png"
    file.write_text("no picture")
    browser.find_element(By.ID, "file").send_keys(str(file))
    settled(browser)
    assert "words.png is no picture" in browser.find_element(By.ID, "state").text


def test_once_around_fills_the_curve(browser):
    visit(browser, "demo.html")
    settled(browser)
    browser.find_element(By.ID, "around").click()
    WebDriverWait(browser, PATIENCE).until(lambda _: browser.execute_script("return demo.visited[0].size") == 24)
    settled(browser)
    ours, theirs = browser.execute_script("return demo.visited.map(v => Object.fromEntries(v))")
    assert max(ours[str(angle)] for angle in (90, 180, 270)) < 1e-4
    assert min(theirs[str(angle)] for angle in (90, 180, 270)) > 0.05


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
@pytest.mark.parametrize("name", ["index", "network", "demo"])
def test_screenshots_are_taken_to_be_looked_at(browser, name, size, scheme):
    SHOTS.mkdir(parents=True, exist_ok=True)
    visit(browser, "demo.html" if name == "demo" else "index.html", size, scheme)
    if name == "demo":
        settled(browser)
        for _ in range(90 // STEP):
            browser.find_element(By.ID, "angle").send_keys(Keys.ARROW_RIGHT)
        settled(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    else:
        if name == "network":
            browser.execute_script("document.querySelector('#all tbody tr:nth-child(2) a').click()")
        seen(browser)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    resize(browser, (size[0], height), scheme)
    time.sleep(0.5)
    file = SHOTS / f"{name}-{size[0]}.png"
    assert browser.save_screenshot(str(file))
