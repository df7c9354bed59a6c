"""What each snippet has for itself of ``sys``, ``threading``, ``warnings`` and ``asyncio``."""

from __future__ import annotations

import asyncio
import sys
import threading

from tests.support.documents import document, eval_, write_json
from tests.support.processes import LIMIT, fastrun, report_of
from tests.support.runs import Evaluated, evaluate, shared


def test_path_is_the_snippets_and_begins_as_that_of_a_script(tmp_path):
    change = "import sys\nprint(sys.path[0] == '', sys.argv)\nsys.path.insert(0, '/mine')"
    tasks = eval_("a", change), eval_("b", "import sys\nprint('/mine' in sys.path)", "a")
    (tmp_path / "tool.py").write_text("import sys, helper\nprint(helper.word, sys.argv == [sys.argv[0]])\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "helper.py").write_text("word = 'beside the script'\n")
    (tmp_path / "tool.py").rename(tmp_path / "sub" / "tool.py")
    script = {"name": "c", "type": "eval", "script": "sub/tool.py", "dependencies": ["b"]}
    done = fastrun(write_json(tmp_path, document(*tasks, script)), cwd=tmp_path)
    lines = done.stdout.decode().splitlines()
    assert (done.returncode, lines[1], lines[4], lines[7]) == (0, "True ['-c']", "False", "beside the script True")


def test_hook_for_exceptions_is_the_snippets():
    hooked = "import sys\nsys.excepthook = lambda kind, error, trace: print('hooked', error)\nraise KeyError(1)"
    ran = Evaluated(eval_("a", hooked), eval_("b", "raise KeyError(2)"))
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == ("hooked 1\n", "")
    assert (ran.recorder.out("b"), ran.recorder.err("b")[-12:]) == ("", "KeyError: 2\n")
    assert {ran.status("a"), ran.status("b")} == {("failed", "KeyError: 1"), ("failed", "KeyError: 2")}


def test_hook_for_threads_is_the_snippets_and_lines_are_shown_without_one():
    fails = (
        "import threading\ndef work(): raise KeyError('in a thread')\n{}threading.Thread(target=work, name='T').start()"
    )
    hook = "threading.excepthook = lambda args: print('hooked', args.thread.name)\n"
    ran = Evaluated(eval_("a", fails.format(hook)), eval_("b", fails.format("")))
    assert (ran.status("a"), ran.status("b")) == (("ok", ""), ("ok", ""))
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == ("hooked T\n", "")
    text = ran.recorder.err("b")
    assert text.startswith("Exception in thread T:\n")
    assert 'File "<task b>", line 2, in work\n    def work(): raise' in text


def test_warnings_and_their_filters_are_the_snippets(tmp_path):
    # In a process of its own: pytest takes warnings for itself.
    source = """
import meeting, warnings
warnings.simplefilter("{0}")
meeting.meet.wait()
for _ in range(2):
    warnings.warn("seen {0}")
"""
    (tmp_path / "meeting.py").write_text(f"import threading\nmeet = threading.Barrier(3, timeout={LIMIT})\n")
    tasks = [eval_(kind, source.format(kind)) for kind in ("ignore", "always", "error")]
    done = fastrun(write_json(tmp_path, document(*tasks)), cwd=tmp_path)
    assert report_of(done.stdout) == {
        "ignore": ("ok", ""),
        "always": ("ok", ""),
        "error": ("failed", "UserWarning: seen error"),
    }
    shown = '<task always>:6: UserWarning: seen always\n  warnings.warn("seen always")\n'
    assert done.stderr.decode().count(shown) == 2
    assert done.stderr.count(b"\nUserWarning: seen") == 1
    assert done.stderr.count(b"UserWarning: seen ignore") == 0


def test_warnings_can_be_caught_reset_and_shown_by_the_snippets_own_function(tmp_path):
    source = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.resetwarnings()
    warnings.simplefilter("always", append=True)
    warnings.warn("caught")
print([str(one.message) for one in caught])
warnings.simplefilter("always")
warnings.showwarning = lambda message, *rest: print("own", message)
warnings.warn("shown")
"""
    done = fastrun(write_json(tmp_path, document(eval_("a", source))))
    assert (done.stdout.splitlines()[1:3], done.stderr) == ([b"['caught']", b"own shown"], b"")


def test_filter_is_added_once_and_each_snippet_warns_once(tmp_path):
    # Warnings that were shown once are forgotten when a filter is added, so both add theirs before.
    source = """
import meeting, warnings
for _ in range(2):
    warnings.simplefilter("once", append=True)
    warnings.simplefilter("once")
print(len([entry for entry in warnings.filters if entry[0] == "once"]))
meeting.meet.wait()
for _ in range(2):
    warnings.warn_explicit("seen", UserWarning, "file", 1)
"""
    (tmp_path / "meeting.py").write_text(f"import threading\nmeet = threading.Barrier(2, timeout={LIMIT})\n")
    done = fastrun(write_json(tmp_path, document(*(eval_(name, source) for name in "ab"))), cwd=tmp_path)
    assert (done.stdout.count(b"1\n"), done.stderr.count(b"UserWarning: seen")) == (2, 2)


def test_limit_of_recursion_is_what_the_snippet_says_and_takes_nothing_from_others():
    before = sys.getrecursionlimit()
    source = """
import shared, sys
sys.setrecursionlimit({0})
shared.meet.wait()
def deep(n): return n and 1 + deep(n - 1)
print(sys.getrecursionlimit(), deep({1}))
shared.meet.wait()
"""
    with shared(meet=threading.Barrier(2, timeout=LIMIT)):
        ran = Evaluated(
            eval_("low", source.format(100, 50)),
            eval_("high", source.format(3000, 2900)),
            threads=2,
        )
    assert [ran.recorder.out(name) for name in ("low", "high")] == ["100 50\n", "3000 2900\n"]
    fresh = "import sys\nprint(sys.getrecursionlimit())"
    ran = Evaluated(eval_("high", "import sys\nsys.setrecursionlimit(5000)"), eval_("after", fresh, "high"))
    assert ran.recorder.out("after") == f"{before}\n"
    assert sys.getrecursionlimit() == before
    assert (
        evaluate("import sys\nsys.setrecursionlimit(0)").status()[1].startswith("ValueError: recursion limit must be")
    )


def test_loop_of_asyncio_is_made_where_a_script_has_one():
    source = """
import asyncio, warnings
warnings.simplefilter("ignore")
async def main(): return 5
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
print(asyncio.get_event_loop() is loop, loop.run_until_complete(main()))
loop.close()
"""
    ran = Evaluated(eval_("a", source), eval_("b", source, "a"), threads=1)
    assert [ran.recorder.out(name) for name in "ab"] == ["True 5\n"] * 2
    if sys.version_info < (3, 14):
        made = "import asyncio, warnings\nwarnings.simplefilter('ignore')\nasyncio.get_event_loop().close()"
        assert evaluate(made).status() == ("ok", "")
    in_thread = """
import asyncio, threading
def work():
    try:
        asyncio.get_event_loop()
    except RuntimeError:
        print("no loop")
threading.Thread(target=work).start()
"""
    assert evaluate(in_thread).recorder.out("a") == "no loop\n"
    with asyncio.Runner() as runner:
        assert runner.run(asyncio.sleep(0, 1)) == 1
