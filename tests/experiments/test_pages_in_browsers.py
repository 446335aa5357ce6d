"""Pages as a browser shows them: whole, offline, within the screen, legible in the light, in the dark and on paper."""

import base64
import json
import re

import pytest

from browsers import browsers, opened
from toy_pages import write_pages

KINDS = ("trained", "elsewhere", "nothing", "receipt", "explained")
WIDTHS = (360, 800, 1400)
SECTIONS = {"summary", "model", "certificates", "ledger", "receipt", "refused", "cite"}
LEAST_CONTRAST = 4.5

BOXES = """
return [...document.querySelectorAll("svg.drawn, img")].map(figure => {
  const box = figure.getBoundingClientRect();
  const scrolled = figure.closest(".wide");
  return {width: box.width, height: box.height, left: box.left,
          right: scrolled && figure.tagName === "IMG" ? scrolled.getBoundingClientRect().right : box.right,
          cut: [...figure.querySelectorAll("text")].filter(text => {
            const own = text.getBoundingClientRect();
            return own.width === 0 || own.left < box.left - 1 || own.right > box.right + 1
                || own.top < box.top - 1 || own.bottom > box.bottom + 1;
          }).map(text => text.textContent)};
});
"""

CONTRASTS = """
const numbers = color => color.match(/[\\d.]+/g).map(Number);
const light = ([red, green, blue]) => {
  const linear = [red, green, blue].map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const behind = element => {
  for (let one = element; one; one = one.parentElement) {
    const color = numbers(getComputedStyle(one).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = [];
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !element.getClientRects().length) continue;
  const style = getComputedStyle(element);
  const front = light(numbers(element.closest("svg") ? style.fill : style.color)), back = light(behind(element));
  found.push([texts.currentNode.data.trim(), (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05)]);
}
return found;
"""

STRUCTURE = """
const all = selector => [...document.querySelectorAll(selector)];
return {
  levels: all("h1, h2, h3, h4").map(heading => Number(heading.tagName[1])),
  empty: all("h1, h2, h3, h4").filter(heading => !heading.innerText.trim()).length,
  ids: all("[id]").map(element => element.id),
  anchors: all("a").map(link => link.getAttribute("href")),
  scopeless: all("th:not([scope])").length,
  unnamed: all("svg:not([aria-label]), svg:not([role=img]), img:not([alt]), .wide:not([aria-label])").length,
  language: document.documentElement.lang,
  title: document.title,
};
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return write_pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module", params=browsers())
def browser(request, tmp_path_factory):
    with opened(request.param, tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(params=KINDS)
def page(request, pages):
    return pages[request.param]


def show(browser, page, *, width=1400, scheme="light", media="screen"):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())


def test_a_page_asks_for_nothing_and_complains_of_nothing(browser, page):
    browser.get_log("performance")
    browser.get_log("browser")
    show(browser, page)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith("data:")} == {page.as_uri()}
    resources = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in resources if not name.startswith("data:")] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_everything_lies_within_the_screen(width, browser, page, pages):
    show(browser, page, width=width)
    across, inner = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert inner == width
    assert across <= width
    boxes = browser.execute_script(BOXES)
    assert len(boxes) > 10 or page != pages["trained"]
    for box in boxes:
        assert box["width"] > 100
        assert box["height"] > 30
        assert 0 <= box["left"] < box["right"] <= width
        assert box["cut"] == []


def test_a_page_has_its_sections_in_order_and_names_for_all(browser, page, pages):
    show(browser, page)
    found = browser.execute_script(STRUCTURE)
    assert found["levels"].count(1) == 1
    assert found["levels"][0] == 1
    assert all(after <= before + 1 for before, after in zip(found["levels"], found["levels"][1:], strict=False))
    assert (found["empty"], found["scopeless"], found["unnamed"]) == (0, 0, 0)
    assert found["language"] == "en"
    assert found["title"]
    assert len(set(found["ids"])) == len(found["ids"])
    assert {anchor.removeprefix("#") for anchor in found["anchors"]} <= set(found["ids"])
    if page not in (pages["receipt"], pages["explained"]):
        assert set(found["ids"]) >= SECTIONS


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_words_stand_out_from_what_is_behind_them(scheme, browser, page):
    for width in (360, 1400):
        show(browser, page, width=width, scheme=scheme)
        paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        contrasts = browser.execute_script(CONTRASTS)
        assert len(contrasts) > 20
        assert {text: found for text, found in contrasts if found < LEAST_CONTRAST} == {}


def test_the_dark_is_for_screens_and_paper_shows_what_was_folded(browser, pages):
    show(browser, pages["trained"], scheme="dark", media="print")
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    heights = browser.execute_script(
        "return [...document.querySelectorAll('details > :not(summary)')].map(part => part.offsetHeight)"
    )
    assert heights
    assert all(height > 0 for height in heights)
    printed = browser.find_element("tag name", "body").text
    statements = re.findall(r"<section.*?</h3>\n<p>(.+?\.) ", pages["trained"].read_text(), re.S)
    assert len(statements) > 5
    for statement in statements:
        assert statement.replace("&#39;", "'") in printed
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    assert 5 < len(re.findall(rb"/Type\s*/Page\b", pdf)) < 40
