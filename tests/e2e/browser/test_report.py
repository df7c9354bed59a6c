"""The page about a run, in a real browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from fastrun import Cause, Outcome, Start, Status, Task
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.pages import FAILED, OK, Story, exec_task
from tests.support.processes import fastrun

SCRIPT = "</script><script>window.harmed = true</script><img src=x onerror='window.harmed = true'>"

# What Selenium calls keys: https://www.w3.org/TR/webdriver2/#keyboard-actions
ESCAPE, DOWN, ENTER = "\ue00c", "\ue015", "\ue007"


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """The page of a real run in which something fails."""
    folder = tmp_path_factory.mktemp("failing")
    path = write_json(
        folder,
        document(
            exec_("prepare", "sleep 0.2"),
            exec_("compile:a", "sleep 0.1", "prepare"),
            exec_("compile:b", "for i in $(seq 40); do echo line $i; done; echo 'b.c:1: wrong' >&2; exit 2", "prepare"),
            eval_("link", "pass", "compile:a", "compile:b"),
            exec_("test", "true", "link"),
            eval_("count", "print(sum(range(10)))"),
            exec_(SCRIPT, f'echo "{SCRIPT}"; false'),
        ),
    )
    page = folder / "page.html"
    assert fastrun("--html", page, path).returncode == 1
    return page


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The page of 100,000 tasks that nobody ran."""
    tasks = [exec_task(f"make:{number}") for number in range(99_000)]
    tasks += [exec_task(f"join:{number}", *(f"make:{99 * number + n}" for n in range(99))) for number in range(1000)]
    story = Story(tmp_path_factory.mktemp("large") / "page.html", tasks)
    for number, task in enumerate(tasks):
        moment = number // 8 * 0.01
        if number % 8 == 0:
            for other in tasks[number : number + 8]:
                story.start(moment, other.name)
        story.end(moment + 0.009, task.name, FAILED if number == 70_007 else OK)
    return story.write(1250)


def test_a_failing_run_opens_and_says_what_happened(failing, opened):
    page = opened(failing)
    assert page.text("h1") == "tasks.json"
    assert page.text("#verdict") == "Failed"
    assert page.text("#sentence").startswith("7 tasks: 3 ok, 2 failed, 2 skipped.")
    assert page.texts("#skips li") == ["2 skipped: compile:b failed"]
    assert len(page.rows()) == 7
    page.click("#graph h2")
    page.until("document.querySelectorAll('#graph .node').length === 7")
    assert page.js("document.querySelectorAll('#graph .edge').length") == 5


def test_a_good_run_opens(tmp_path, opened):
    story = Story(tmp_path / "page.html", [exec_task("a"), exec_task("b", "a")])
    story.run(0, 1, "a")
    story.run(1, 3, "b")
    page = opened(story.write(3))
    assert page.text("#verdict") == "All is well"
    assert not page.one("#failures").is_displayed()
    assert page.texts("#path-list .task-link") == ["a", "b"]


@pytest.mark.parametrize("many", [0, 1])
def test_a_run_in_which_nothing_ran_opens(tmp_path, opened, many):
    tasks = [exec_task("a")][:many]
    story = Story(tmp_path / "page.html", tasks)
    for task in tasks:
        story.skip(0, task.name, "b")
    page = opened(story.write(0))
    assert page.text("#path-sentence") == "Nothing ran."


def test_the_output_of_a_failed_task_can_be_read(failing, opened):
    page = opened(failing)
    card = ".failure[data-row='2']"
    assert page.text(f"{card} .reason") == "exit status 2"
    assert page.text(f"{card} .command").startswith("for i in $(seq 40)")
    assert "b.c:1: wrong" in page.text(f"{card} .output").split("\n")
    assert "line 1\n" not in page.text(f"{card} .output")
    page.click(f"{card} .more")
    assert "line 1\n" in page.text(f"{card} .output")
    assert len(page.text(f"{card} .output").split("\n")) == 41


def test_a_script_in_a_name_or_in_output_is_text(failing, opened):
    page = opened(failing)
    assert SCRIPT in page.rows()
    assert page.text(".failure[data-row='6'] .output") == SCRIPT
    page.click(".failure[data-row='6'] h3 .task-link")
    assert page.text("#details-title") == SCRIPT
    assert page.js("window.harmed === undefined")
    assert page.js("document.images.length") == 0


def test_typing_a_search_keeps_the_place_in_the_table(failing, opened):
    page = opened(failing)
    page.js("document.getElementById('tasks').scrollIntoView()")
    place = page.js("window.scrollY")
    assert place > 0
    page.one("#search").send_keys("c")
    page.one("#search").send_keys("ompile")
    page.until("document.querySelectorAll('#table-body .task-link').length === 2")
    assert page.js("window.scrollY") == place


def test_a_failure_that_is_allowed_is_shown_as_such_and_what_was_not_needed_is_no_skip(tmp_path, opened):
    tasks = [exec_task("a", allow_failure=True), exec_task("tell", "a", when="failed"), exec_task("b")]
    story = Story(tmp_path / "page.html", tasks)
    story.run(0, 1, "a", FAILED)
    story.run(0, 1, "b")
    story.end(1, "tell", Outcome(Status.SKIPPED, Cause.NOT_NEEDED))
    page = opened(story.write(1))
    assert not page.one("#failures").is_displayed()
    assert page.text("#allowed-title") == "Allowed failures"
    assert page.texts("#skips li") == []


def test_most_at_once_counts_tasks_at_the_same_time(tmp_path, opened):
    story = Story(tmp_path / "page.html", [exec_task("a"), exec_task("b"), Task("c", "eval", "")])
    story.start(0, "a")
    story.run(0, 1, "b")
    story.end(1, "a")
    story.run(2, 3, "c")
    page = opened(story.write(3))
    assert page.texts("#figures div")[2] == "Most at once2up to 2 exec, up to 1 eval"


@pytest.mark.parametrize(("many", "hints"), [(2, 0), (40, 1)])
def test_a_drawing_that_does_not_fit_says_so(tmp_path, opened, many, hints):
    tasks = [exec_task("task 0"), *(exec_task(f"task {number}", f"task {number - 1}") for number in range(1, many))]
    story = Story(tmp_path / "page.html", tasks)
    for number, task in enumerate(tasks):
        story.run(number, number + 1, task.name)
    page = opened(story.write(many))
    page.click("#graph h2")
    page.until(f"document.querySelectorAll('#graph .node').length === {many}")
    assert len(page.texts("#graph .hint")) == hints


def test_search_finds_tasks_everywhere(failing, opened):
    page = opened(failing)
    page.click("#graph h2")
    page.until("document.querySelectorAll('#graph .node').length === 7")
    page.one("#search").send_keys("COMPILE b")
    page.until("document.querySelectorAll('#table-body .task-link').length === 1")
    assert page.rows() == ["compile:b"]
    assert page.text("#table-count") == "1 of 7 tasks"
    assert page.js("document.querySelectorAll('#graph .node.dim').length") == 6
    page.click("#filters .chip.plain")
    assert len(page.rows()) == 7
    assert page.js("document.getElementById('search').value") == ""


def test_filters_show_tasks_by_status(failing, opened):
    page = opened(failing)
    page.click("#filters [data-status=skipped]")
    assert page.rows() == ["link", "test"]
    page.click("#filters [data-status=failed]")
    assert page.rows() == ["compile:b", "link", "test", SCRIPT]
    page.click("#filters [data-status=skipped]")
    assert page.rows() == ["compile:b", SCRIPT]


def test_the_table_sorts_both_ways_and_back(tmp_path, opened):
    tasks = [exec_task(name) for name in ("t10", "t9", "never", "t1")]
    story = Story(tmp_path / "page.html", tasks)
    story.run(0, 2, "t10")
    story.run(2, 3, "t9")
    story.run(3, 6, "t1")
    story.skip(6, "never", "x")
    page = opened(story.write(6))
    orders = {
        "seconds": (["t1", "t10", "t9", "never"], ["t9", "t10", "t1", "never"]),
        "name": (["never", "t1", "t9", "t10"], ["t10", "t9", "t1", "never"]),
        "status": (["never", "t10", "t9", "t1"], ["t10", "t9", "t1", "never"]),
    }
    for key, (first, second) in orders.items():
        page.click(f"th[data-key={key}] button")
        assert page.rows() == first
        way = page.one(f"th[data-key={key}]").get_attribute("aria-sort")
        page.click(f"th[data-key={key}] button")
        assert page.rows() == second
        assert page.one(f"th[data-key={key}]").get_attribute("aria-sort") != way
        page.click(f"th[data-key={key}] button")
        assert page.rows() == ["t10", "t9", "never", "t1"]


def test_dark_and_light_follow_the_system(failing, opened):
    grounds = []
    for dark in (False, True):
        page = opened(failing, dark=dark)
        grounds.append(page.js("getComputedStyle(document.body).backgroundColor"))
    brightness = [sum(map(int, ground[4:-1].split(","))) for ground in grounds]
    assert brightness[0] > 600 > 150 > brightness[1]


# The colours that are in a drawing, read from a copy: a browser complains of canvases that are read often.
COLOURS = """(() => {
  const drawn = document.querySelector("SELECTOR");
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [drawn.width, drawn.height];
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(drawn, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, copy.width, copy.height).data.buffer);
  return Array.from(new Set(pixels)).sort().join();
})()"""


@pytest.mark.parametrize("selector", ["#timeline-canvas", "#chart canvas"])
def test_drawings_turn_dark_with_the_system(failing, opened, selector):
    page = opened(failing)
    colours = COLOURS.replace("SELECTOR", selector)
    page.until(f"{colours} !== '0'")
    light = page.js(colours)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    page.until(f"{colours} !== {light!r}")


def test_the_timeline_is_moved_and_zoomed_by_keys(failing, opened):
    page = opened(failing)
    whole = page.js("timeline.range()")
    page.js("document.getElementById('timeline-scroll').focus()")
    page.press("+")
    near = page.js("timeline.range()")
    assert near[1] - near[0] < 0.7 * whole[1]
    page.press("\ue014")
    moved = page.js("timeline.range()")
    assert moved[0] > near[0]
    assert moved[1] - moved[0] == pytest.approx(near[1] - near[0])
    page.press("0")
    assert page.js("timeline.range()") == whole


def test_the_timeline_tells_of_a_task_and_opens_it(tmp_path, opened):
    story = Story(tmp_path / "page.html", [exec_task("first"), exec_task("second")])
    story.run(0, 5, "first")
    story.run(5, 10, "second")
    page = opened(story.write(10))
    from selenium.webdriver import ActionChains

    canvas = page.one("#timeline-canvas")
    page.js("arguments[0].scrollIntoView({ block: 'center' })", canvas)
    # In the first slot, in the second half.
    place = (int(canvas.size["width"] / 4), int(-canvas.size["height"] / 2 + 38))
    ActionChains(page.driver).move_to_element_with_offset(canvas, *place).perform()
    page.until("!document.getElementById('tip').hidden")
    assert page.texts("#tip strong, #tip span")[:3] == ["second", "ok", "5.00 s, from 5.00 s to 10.0 s"]
    ActionChains(page.driver).move_to_element_with_offset(canvas, *place).click().perform()
    page.until("!document.getElementById('details').hidden")
    assert page.text("#details-title") == "second"


def test_dragging_in_the_chart_zooms(tmp_path, opened):
    story = Story(tmp_path / "page.html", [exec_task("a")])
    story.run(0, 10, "a")
    page = opened(story.write(10))
    from selenium.webdriver import ActionChains

    chart = page.one("#chart .u-over")
    page.js("arguments[0].scrollIntoView({ block: 'center' })", chart)
    quarter = int(chart.size["width"] / 4)
    drag = ActionChains(page.driver).move_to_element_with_offset(chart, 0, 0).click_and_hold()
    drag.move_by_offset(quarter // 2, 0).move_by_offset(quarter // 2, 0).release().perform()
    page.until("timeline.range()[0] > 1")
    assert page.js("timeline.range()") == pytest.approx([5.0, 7.5], abs=0.1)


def test_all_about_a_task_is_beside_the_page(failing, opened):
    page = opened(failing)
    page.click("#table-body tr[data-row='3'] .task-link")
    assert page.text("#details-title") == "link"
    assert page.text("#details .state").endswith("skipped: compile:b failed")
    assert page.texts("#details .names .task-link") == ["compile:a", "compile:b", "test"]
    page.click("#details .names li:nth-child(2) .task-link")
    assert page.text("#details-title") == "compile:b"
    assert "b.c:1: wrong" in page.text("#details .output")


def test_why_tasks_ran_and_what_was_up_to_date_is_told(tmp_path, opened):
    for name in "ab":
        (tmp_path / name).write_text("")
    tasks = [exec_(name, "true", cwd=str(tmp_path), inputs=[name]) for name in "ab"]
    path, html = write_json(tmp_path, document(*tasks)), tmp_path / "page.html"
    fastrun("--update", path)
    (tmp_path / "b").write_text("more")
    assert fastrun("--update", "--html", html, path).returncode == 0
    page = opened(html)
    assert page.text("#sentence").startswith("2 tasks: 2 ok (1 up to date).")
    assert page.texts("#table-body td.name .muted") == ["up to date", f"{tmp_path}/b changed"]
    page.click("#table-body tr[data-row='1'] .task-link")
    assert f"Why{tmp_path}/b changed" in page.text("#details dl")
    page.press(ESCAPE)
    page.click("#filters .chip:nth-child(3)")
    assert page.rows() == ["a"]
    page.click("#filters .chip.plain")
    assert page.rows() == ["a", "b"]


def test_everything_can_be_done_by_keys(failing, opened):
    page = opened(failing)
    page.press("/")
    assert page.js("document.activeElement.id") == "search"
    page.press("compile")
    page.until("document.querySelectorAll('#table-body .task-link').length === 2")
    page.js("document.querySelector('#table-body .task-link').focus()")
    page.press(DOWN)
    assert page.js("document.activeElement.textContent") == "compile:b"
    page.press(ENTER)
    assert page.text("#details-title") == "compile:b"
    assert page.js("document.activeElement.id") == "details"
    page.press(ESCAPE)
    assert page.js("document.getElementById('details').hidden")
    assert page.js("document.activeElement.textContent") == "compile:b"


def test_the_drawing_opens_tasks_by_click_and_by_key(failing, opened):
    page = opened(failing)
    page.click("#graph h2")
    page.until("document.querySelectorAll('#graph .node').length === 7")
    node = "#graph .node[aria-label^='compile:a']"
    page.click(node)
    assert page.text("#details-title") == "compile:a"
    page.press(ESCAPE)
    page.js("document.querySelector(\"#graph .node[aria-label^='link']\").focus()")
    page.press(ENTER)
    assert page.text("#details-title") == "link"


def test_further_attempts_are_in_the_timeline(tmp_path, opened):
    story = Story(tmp_path / "page.html", [Task("a", "exec", "flaky", retries=1)])
    story.start(0, "a", Start(1, 2))
    story.end(4, "a", FAILED._replace(retry_in=1.0))
    story.start(5, "a", Start(2, 2))
    story.end(10, "a")
    page = opened(story.write(10))
    assert page.texts("#timeline-keys .key") == ["critical path", "failed attempt, tried again"]
    assert "Failed attempts took 4.00 s of that." in page.text("#path-sentence")


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_it_fits_the_window(failing, opened, width):
    page = opened(failing, width=width)
    assert page.js("document.documentElement.scrollWidth") <= width


def test_a_hundred_thousand_tasks_open_and_work(large, opened):
    page = opened(large)
    assert page.text("#sentence").startswith("100,000 tasks: 99,999 ok, 1 failed.")
    # Only the rows in sight exist, here and at the end.
    assert page.rows()[0] == "make:0"
    assert len(page.rows()) < 100
    page.js("document.getElementById('table-scroll').scrollTop = 1e9")
    page.until("Array.from(document.querySelectorAll('#table-body .task-link')).pop().textContent === 'join:999'")
    page.click("th[data-key=name] button")
    page.until("document.querySelector('#table-body .task-link').textContent === 'join:0'")
    page.one("#search").send_keys("70007")
    page.until("document.querySelectorAll('#table-body .task-link').length === 1")
    page.click("#graph h2")
    page.until("document.querySelectorAll('#graph .node').length === 2")
    assert "are grouped" in page.text("#graph-sentence")
    page.click("#filters .chip.plain")
    page.click("#graph .node[aria-label^='join']")
    page.until("document.getElementById('table-count').textContent === '1,000 of 100,000 tasks'")


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The page of a run with logs, in which one failure is allowed."""
    folder = tmp_path_factory.mktemp("logged")
    tasks = [
        exec_("a/b #1%", "echo what it printed; exit 2"),
        exec_("lint", "echo a warning; exit 1", allow_failure=True),
        exec_("fine", "echo fine"),
        exec_("after", "true", "a/b #1%"),
    ]
    page = folder / "reports" / "page.html"
    page.parent.mkdir()
    path = write_json(folder, document(*tasks))
    assert fastrun("--html", page, "--logs", folder / "logs", path).returncode == 1
    return page


def test_an_allowed_failure_is_not_among_the_failures(logged, opened):
    page = opened(logged)
    assert page.texts("#failure-list h3") == ["a/b #1%"]
    assert page.text("#allowed-title") == "Allowed failures"
    assert page.texts("#allowed-list h3") == ["lint"]


def test_a_run_whose_failures_are_all_allowed_has_none(tmp_path, opened):
    page = tmp_path / "page.html"
    assert (
        fastrun("--html", page, write_json(tmp_path, document(exec_("a", "false", allow_failure=True)))).returncode == 0
    )
    found = opened(page)
    assert not found.one("#failures").is_displayed()
    assert found.texts("#allowed-list h3") == ["a"]


def test_links_lead_to_the_logs(logged, opened):
    page = opened(logged)
    (href,) = page.js("[...document.querySelectorAll('#failure-list a.log')].map((link) => link.href)")
    assert Path(unquote(urlsplit(href).path)).read_text() == "what it printed\n"
    page.click("#failure-list .task-link")
    assert page.js("document.querySelector('#details a.log').href") == href


def test_a_run_without_logs_has_no_links_to_them(failing, opened):
    page = opened(failing)
    assert page.all("a.log") == []


def test_an_address_names_a_task(logged, opened):
    page = opened(logged)
    page.click("#failure-list .task-link")
    assert page.js("location.hash") == "#task=a%2Fb%20%231%25"
    address = page.js("location.href")
    page.driver.get("about:blank")
    page.driver.get(address)
    page.until("document.getElementById('details-title')?.textContent === 'a/b #1%'")
    # The links of the page itself select other tasks, and a task that there is none of selects nothing.
    page.js("void (location.hash = '#task=fine')")
    page.until("document.getElementById('details-title')?.textContent === 'fine'")
    page.press(ESCAPE)
    page.until("document.getElementById('details').hidden")
    assert page.js("location.hash") == ""
    page.js("void (location.hash = '#task=nothing')")
    page.js("void (location.hash = '#tasks')")
    assert page.js("document.getElementById('details').hidden")
