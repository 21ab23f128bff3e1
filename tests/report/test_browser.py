"""The page in headless Chromium: what a reader sees, hears and can reach by keyboard."""

import shutil

import pytest

import zcfast
from tests.designing.own_space import EXAMPLE, build
from tests.report.pages import HOSTILE, needs_extra, scores, table
from zcfast import analysis, report

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra zcfast[test]")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the PATH: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def made():
    return scores(300), table(missing=20)


@pytest.fixture(scope="module")
def file(made, tmp_path_factory):
    needs_extra()
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report.html(*made), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser):
    """Open a file; at the end there must have been no message on the console, no error and no request."""
    contexts, complaints = [], []

    def visit(file, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url == file.as_uri() or complaints.append(request.url))
        page.goto(file.as_uri())
        drawn(page)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def drawn(page) -> None:
    page.wait_for_selector("body[data-drawn=yes]")


def spearman_of(page) -> list[str]:
    return page.locator("#ranking tbody td:nth-child(3)").all_inner_texts()


def expected(made, metric: str, fraction: float) -> list[str]:
    values, accuracies = made[0], made[1].query(made[0].cells, metric)
    correlations = (analysis.spearman_top(column, accuracies, fraction) for column in values.columns.values())
    return [f"{value:.3f}".replace("-", "−") for value in correlations]


def test_the_numbers_on_the_page_are_those_of_the_analysis(visit, file, made):
    page = visit(file)
    assert spearman_of(page) == expected(made, "test", 1.0)
    captions = page.locator("#scatters figcaption span").all_inner_texts()
    assert [caption.split("ρ ")[1] for caption in captions] == expected(made, "test", 1.0)
    assert page.locator("#scatters canvas").count() == 3
    assert page.locator("#curves svg").count() == page.locator("#matrix svg").count() == 1
    assert page.locator("#best svg.cell").count() == 10
    first, second = made[0]["ties"], made[0]["zeros"]
    rated = ~made[1].query(made[0].cells, "test").isnan()
    value = analysis.spearman(first[rated], second[rated])
    assert f"{value:.2f}" in page.locator("#matrix svg text").all_text_contents()


def test_files_run_nothing(visit, file):
    page = visit(file)
    assert page.title() != "run"
    assert page.locator("img").count() == 0
    assert HOSTILE in page.locator("#ranking tbody th").all_inner_texts()


def test_filters_by_keyboard(visit, file, made):
    page = visit(file)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["theme", "score", "metric", "fraction"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    drawn(page)
    assert page.locator("#status").inner_text() == "all scores, test, most accurate 10 %"
    assert spearman_of(page) == expected(made, "test", 0.1)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    drawn(page)
    assert spearman_of(page) == expected(made, HOSTILE, 0.1)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    drawn(page)
    assert page.locator("#scatters figcaption b").all_inner_texts() == ["zeros"]
    assert page.locator("#best-by").inner_text() == "zeros"
    assert page.locator("#best tbody tr").count() == 10


def test_a_point_tells_its_architecture(visit, file):
    page = visit(file)
    page.select_option("#score", "1")
    drawn(page)
    canvas = page.locator("#scatters canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tooltip = page.locator("#vg-tooltip-element.visible")
    for step in range(400):  # along two lines until a point is met
        page.mouse.move(box["x"] + 60 + 3 * (step % 200), box["y"] + box["height"] / (2 + step // 200))
        if tooltip.count():
            break
    assert "nor_conv" in tooltip.inner_text()


def test_every_plot_has_words(visit, file):
    page = visit(file)
    labels = page.eval_on_selector_all("[role=img]", "all => all.map((each) => each.getAttribute('aria-label') || '')")
    assert len(labels) > 5
    assert all(labels)
    assert (
        page.eval_on_selector_all(
            "select, button", "all => all.filter((each) => !each.labels.length && !each.textContent.trim())"
        )
        == []
    )


@pytest.mark.parametrize("width", [320, 390])
def test_phone(visit, file, width):
    page = visit(file, viewport={"width": width, "height": 800}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#scatters canvas").first.bounding_box()["width"] <= width


def test_dark_mode_by_preference_and_by_button(visit, file):
    lightness = (
        "getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
    )
    page = visit(file, color_scheme="dark")
    assert page.evaluate(lightness) < 150
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    page.focus("#theme")
    page.keyboard.press("Enter")
    drawn(page)
    assert page.evaluate(lightness) > 600
    assert page.get_attribute("#theme", "aria-pressed") == "false"
    assert visit(file, color_scheme="light").evaluate(lightness) > 600


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
@pytest.mark.parametrize("rows", [0, 1, 4000])
def test_other_sizes(visit, tmp_path, name, rows):
    needs_extra()
    space = zcfast.space(name)
    path = tmp_path / "report.html"
    path.write_text(report.html(scores(rows, space), table(missing=0 if rows else 9, space=space)), encoding="utf-8")
    page = visit(path)
    # The one row of the third score is NaN.
    assert page.locator("#scatters canvas").count() == {0: 0, 1: 2, 4000: 3}[rows]
    for part in range(5):
        page.select_option("#fraction", str(part))
        drawn(page)


@pytest.fixture(scope="module")
def design():
    pytest.importorskip("optuna")
    by = zcfast.designing.Stages("flops")
    return zcfast.design(zcfast.Space(build, EXAMPLE), by=by, limits={"params": 20_000}, evaluations=120)


@pytest.fixture(scope="module")
def design_file(design, tmp_path_factory):
    needs_extra()
    path = tmp_path_factory.mktemp("report") / "design.html"
    path.write_text(report.design(design), encoding="utf-8")
    return path


def column_of(page, heading: str) -> list[str]:
    names = page.locator("#tried thead button").all_inner_texts()
    return page.locator(f"#tried tbody tr > :nth-child({names.index(heading) + 1})").all_inner_texts()


def test_the_front_of_a_design_is_drawn(visit, design_file, design):
    page = visit(design_file)
    front, over = len(design.pareto("params")), len(design.tried) - len(design)
    label = page.get_attribute("#trade-off", "aria-label")
    assert label.startswith(f"place (1 is the best) against params: {120 - design.protocol['failed']} architectures")
    assert f"{front} on the front" in label
    marks = [group.locator("path").count() for group in page.locator("#trade-off g.mark-symbol.role-mark").all()]
    assert marks == [len(design) - front, front]
    assert page.locator("#trade-off g.mark-rect.role-mark path").count() == over - design.protocol["failed"]
    assert page.locator("#trade-off g.mark-rule.role-mark line").count() == 1  # the limit
    page.select_option("#cost", label="flops")
    drawn(page)
    assert page.locator("#trade-off g.mark-rule.role-mark line").count() == 0
    page.select_option("#against", label="flops")
    drawn(page)
    assert "flops (multiply-adds) against flops" in page.get_attribute("#trade-off", "aria-label")


def test_the_table_of_a_design_is_sorted(visit, design_file, design):
    page = visit(design_file)
    assert column_of(page, "place") == [str(place + 1) for place in range(50)]
    page.locator("#tried thead button", has_text="width").click()
    widths = [int(width) for width in column_of(page, "width")]
    assert widths == sorted(widths)
    assert page.locator("#tried th[aria-sort=ascending]").inner_text().startswith("width")
    assert page.evaluate("document.activeElement.textContent") == "width"
    page.keyboard.press("Enter")
    widths = [int(width) for width in column_of(page, "width")]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 64
    page.locator("#more").click()
    assert page.locator("#tried tbody tr").count() == 120
    assert page.locator("#more").is_hidden()
    page.select_option("#show", label="over a limit or without a score")
    drawn(page)
    states = column_of(page, "state")
    assert len(states) == 120 - len(design)
    assert states.count("over a limit") == len(design.tried) - len(design) - design.protocol["failed"]
    page.select_option("#show", label="on the front")
    drawn(page)
    assert set(column_of(page, "state")) == {"on the front"}


@pytest.mark.parametrize("width", [320, 390])
def test_a_design_on_a_phone(visit, design_file, width):
    page = visit(design_file, viewport={"width": width, "height": 800}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_design_in_the_dark(visit, design_file):
    page = visit(design_file, color_scheme="dark")
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    page.locator("#theme").click()
    drawn(page)
    assert page.get_attribute("#theme", "aria-pressed") == "false"


def test_a_design_of_nothing_that_costs(visit, tmp_path):
    needs_extra()
    space = zcfast.space("nasbench201")
    made = zcfast.design(space, by="expected_synflow").tried
    columns = {name: made[name][:70] for name in ("design", "expected_synflow")}
    found = zcfast.designing.Design(zcfast.Scores(space, made.cells[:70], columns, made.provenance))
    path = tmp_path / "design.html"
    path.write_text(report.design(found), encoding="utf-8")
    assert "nothing to trade off" in visit(path).locator("#trade-off").inner_text()
