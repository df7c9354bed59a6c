"""How a snippet ends with an exception, and what it then shows."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.documents import eval_
from tests.support.runs import Evaluated, evaluate


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("raise ValueError('two\\nlines')", ("failed", "ValueError: two\\nlines")),
        ("raise StopIteration", ("failed", "StopIteration")),
        ("raise GeneratorExit('x')", ("failed", "GeneratorExit: x")),
        ("raise KeyboardInterrupt", ("failed", "KeyboardInterrupt")),
        ("import asyncio; raise asyncio.CancelledError", ("failed", "CancelledError")),
        ("raise BaseExceptionGroup('g', [KeyboardInterrupt()])", ("failed", "BaseExceptionGroup: g (1 sub-exception)")),
        ("raise SystemExit", ("ok", "")),
        ("import sys; sys.exit(0)", ("ok", "")),
        ("exit(False)", ("ok", "")),
        ("import sys; sys.exit(3)", ("failed", "SystemExit: 3")),
        ("import sys; sys.exit('gone')", ("failed", "SystemExit: gone")),
        ("1 +", ("failed", "SyntaxError: invalid syntax (<task a>, line 1)")),
        ("def f(): f()\nf()", ("failed", "RecursionError: maximum recursion depth exceeded")),
        ("x = 'a\0b'", ("failed", "SyntaxError: source code string cannot contain null bytes")),
        ("class E(Exception):\n    def __str__(self): raise self\nraise E", ("failed", "E: <no text: __str__ failed>")),
        ("raise type('two\\nlines', (Exception,), {})(3)", ("failed", "two\\nlines: 3")),
    ],
)
def test_no_exception_of_any_class_escapes(source, status):
    ran = Evaluated(eval_("a", source), eval_("b", "pass"))
    assert ran.status("b") == ("ok", "")
    assert ran.status()[0] == status[0]
    # Older Pythons say some of it in other words.
    assert ran.status()[1].replace("ValueError: source", "SyntaxError: source").startswith(status[1])


def test_a_traceback_shows_the_snippets_lines_under_its_tasks_name_and_none_of_ours():
    source = "def inner():\n    return 1 / 0\n\ninner()"
    ran = Evaluated(eval_("first", source), eval_("se\ncond", source, "zero"), eval_("zero", "pass"))
    for name, label in (("first", "first"), ("se\ncond", "se\\ncond")):
        lines = [line.strip() for line in ran.recorder.err(name).splitlines() if set(line.strip()) - set("^~ ")]
        assert lines == [
            "Traceback (most recent call last):",
            f'File "<task {label}>", line 4, in <module>',
            "inner()",
            f'File "<task {label}>", line 2, in inner',
            "return 1 / 0",
            "ZeroDivisionError: division by zero",
        ]


def test_a_traceback_of_a_chain_of_exceptions_is_the_snippets_in_all_parts():
    source = "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ExceptionGroup('g', [KeyError(1)]) from e"
    text = evaluate(source).recorder.err("a")
    assert text.count('File "<task a>"') == 2
    assert "executors" not in text
    assert "direct cause" in text


def test_a_snippet_that_does_not_compile_shows_its_line():
    text = evaluate("x = 1\ny = = 2").recorder.err("a")
    assert 'File "<task a>", line 2' in text
    assert "y = = 2" in text
    assert "executors" not in text


@pytest.mark.parametrize(
    "source",
    [
        "x = [1]\nprint(len(x[3].foo(1)))",
        "x = [1]\r\nprint(len(x[3].foo(1)))",
        "x = [1]\rprint(len(x[3].foo(1)))\r",
        "e = ValueError('x'); e.add_note('more'); raise e",
        # Characters at which str.splitlines splits, and Python does not.
        "x = '\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029'\ny = 2\nx[y.a]",
        # Errors for which the compiler looks for the line in the file.
        "def f():\n    return 1\n\nreturn f()",
        "x = '\u2028'\nbreak",
        "def f(a, a): pass\n",
        "x = 1\nfrom __future__ import nonsense",
        "match 1:\n  case x: pass\n  case 2: pass",
        "1 +",
    ],
)
def test_a_traceback_is_that_of_a_file_with_the_same_text(source, tmp_path):
    file = tmp_path / "script.py"
    file.write_bytes(source.encode())
    python = subprocess.run([sys.executable, "-X", "utf8", file], capture_output=True, check=False).stderr.decode()
    assert evaluate(source).recorder.err("a") == python.replace(str(file), "<task a>").replace("script.py", "<task a>")


def test_an_exit_with_a_text_prints_it_and_no_traceback():
    ran = evaluate("import sys; sys.exit('gone')")
    assert ran.recorder.err("a") == "gone\n"
    assert evaluate("import sys; sys.exit(3)").recorder.err("a") == ""


def test_output_is_a_print_errors_traceback_without_our_streams():
    ran = evaluate("print('\\ud800')")
    assert ran.status()[1].startswith("UnicodeEncodeError")
    assert "executors" not in ran.recorder.err("a")


def test_a_traceback_that_cannot_be_printed_is_said_to_be_so():
    source = (
        "class M(type):\n    __module__ = property(lambda c: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E"
    )
    ran = evaluate(source)
    assert ran.status() == ("failed", "E")
    assert ran.recorder.err("a") == "<task a>: E (its traceback cannot be printed: ZeroDivisionError)\n"


RAISING = "property(lambda self: 1 / 0)"


@pytest.mark.parametrize(
    "source",
    [
        f"class M(type): __name__ = {RAISING}\nclass E(Exception, metaclass=M): pass\nraise E",
        "class C:\n    def __eq__(self, other): raise KeyError\nraise SystemExit(C())",
        f"class E(SystemExit): code = {RAISING}\nraise E",
        f"class E(Exception): __class__ = {RAISING}\nraise E",
        f"class S(str): isprintable = {RAISING}\nclass E(Exception):\n    def __str__(self): return S('x')\nraise E",
        f"class E(SyntaxError): filename = {RAISING}\nraise E",
    ],
)
def test_an_exception_that_fights_back_fails_its_task_and_nothing_else(source):
    ran = Evaluated(eval_("a", source), eval_("b", "print('on')"), threads=1)
    assert ran.status()[0] == "failed"
    assert ran.status("b") == ("ok", "")
