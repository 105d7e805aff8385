"""Says in one line how an exercise stands, and lets the notebook go on.

    with exercise("5.2"):
        assert fuse(maps, weights, (2, 4)).shape == (2, 4, 1), "on the full grid ..."

In the students' notebooks it stands around the tests that students see (make_student.py puts it
there). Those tests are few; the grader's are stricter.
"""
import linecache
import re
import traceback
from contextlib import contextmanager


@contextmanager
def exercise(number: str):
    """Runs the tests inside and prints one line. No error leaves it, but for the stop button's."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:                        # SystemExit, too
        told = explain(error, number)
    else:
        told = "the tests in this cell pass; the grader's are stricter"
    print(f"Exercise {number}: {told}")


def explain(error: BaseException, number: str) -> str:
    """What is missing or not right, in plain words."""
    kind, message = type(error).__name__, " ".join(str(error).split())[:300]
    if isinstance(error, NotImplementedError):            # PyTorch raises these, too
        if message in ("", f"Exercise {number}"):
            return "not done yet"
        other = re.fullmatch(r"Exercise (\d+\.\d+)", message)
        if other:
            return f"your code calls the function of exercise {other[1]}, which is not done yet"

    test, inner, line = where(error)
    in_line = f", in the line: {shortened(line)}" if line else ""
    raised = f"{kind}: {message}" if message else kind
    if inner is not test:
        return f"your code raised {raised}{in_line}"
    if isinstance(error, AssertionError):
        return f"not right yet: {message or 'this does not hold: ' + line}"
    if isinstance(error, NameError) and error.name not in test.f_globals:
        return (f"{error.name} is not defined; run the cells above, "
                "and see whether one of them ends with an error")
    if "NoneType" in message:
        return "not right yet: your code returns None; is a return missing?"
    return f"the tests cannot work with what your code returns: {raised}{in_line}"


def shortened(line: str, length: int = 80) -> str:
    return line if len(line) <= length else line[:length] + " ..."


def where(error: BaseException) -> tuple:
    """(frame of the tests, innermost frame of the notebook, its line of code)."""
    frames = list(traceback.walk_tb(error.__traceback__))[1:]     # the first is `exercise` above
    test = frames[0][0]
    inner, number = [(f, n) for f, n in frames if f.f_globals is test.f_globals][-1]
    return test, inner, linecache.getline(inner.f_code.co_filename, number).strip()
