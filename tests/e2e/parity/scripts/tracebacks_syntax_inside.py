"""Code that the script compiles and that has an error."""

for source in ("1 +", "def f(:\n  pass", "  x", "'"):
    try:
        compile(source, "<source>", "exec")
    except SyntaxError as error:
        print(type(error).__name__, error.lineno, error.text)
eval("1 +* 2")
