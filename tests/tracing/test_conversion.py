"""A rewritten function does on plain values what the function does that it was made from."""

import contextlib
import functools
import gc
import inspect
import traceback

import numpy as np
import pytest

import symdiff as sd
from symdiff.tracing.conversion import convert

CALLS: list[str] = []


def noted(name, value):
    CALLS.append(name)
    return value


def jumps(n):
    found = []
    for i in range(n):
        if i == 2:
            continue
        for j in range(i):
            if j == 3:
                break
            found.append((i, j))
        else:
            found.append(i)
        if i == 6:
            return found, "early"
    found.append("whole")
    return found


def while_else(n):
    while n > 0:
        n -= 1
        if n == 3:
            break
    else:
        return "ran out"
    return n


def short_circuits(a, b):
    both = noted("a", a) and noted("b", b)
    either = noted("c", a) or noted("d", b)
    chosen = noted("e", 1) if noted("f", a) else noted("g", 2)
    chained = noted("h", 0) < noted("i", a) < noted("j", b) != noted("k", 3)
    return both, either, chosen, chained, not a


def defaults(a, b=2, *rest, c=3, **others):
    return a, b, rest, c, others


def raises(x):
    if x > 1:
        raise ValueError(f"{x} is too much")
    return [1, 2][x + 5]


def tries(x):
    log = []
    for k in range(4):
        try:
            log.append(10 / (k - x))
        except ZeroDivisionError as error:
            log.append(str(error))
        else:
            log.append("fine")
        finally:
            log.append(k)
    return log


def returns_from_try(x):
    try:
        return 1 / x
    except ZeroDivisionError:
        return "none"
    finally:
        CALLS.append("finally")


def contexts(x):
    with contextlib.suppress(KeyError) as nothing:
        if x:
            return {}["a"]
        return nothing
    return "suppressed"


def scopes(x):
    total = 0

    def add(v):
        nonlocal total
        if v > 1:
            total += v
        return total

    squares = [v for v in range(x) if v % 2]
    v = "outer"
    for k in range(x):
        add(k)
    return total, squares, v, k, (lambda w: w if w else v)(0)  # noqa: FURB110, PLC3002


def unbound(x):
    if x:
        y = 1
    return y


def deletes(x):
    y = x
    del y
    if x:
        y = 2
    return y


def unpacks(rows):
    total = 0
    for a, (b, *c) in rows:
        total += a + b + sum(c)
    first, *rest = rows
    return total, first, rest, a


def matches(x):
    match x:
        case {"kind": kind}:
            found = kind
        case [a, b] if a > b:
            found = a - b
        case _:
            found = None
    return found


def walrus(items):
    found = []
    while items and (last := items.pop()) != 3:
        found.append(last)
    return found, last, (n := len(found)) + n


def generator(n):
    for i in range(n):
        if i % 2:
            yield i


def uses_generator(n):
    return list(generator(n)), sum(i for i in generator(n) if i > 1)


def annotated(x: int) -> list[int]:
    y: list[int] = []
    z: int  # noqa: F842
    for i in range(x):
        y.append(i)  # noqa: PERF402
    return y


def keeps_lists(items):
    alias = items
    for i in range(3):
        items.append(i)
    items += [9]
    return alias is items, alias


def asserts(x):
    assert x > 0, f"no {x}"
    return x


def chained_assignment(x):
    a = b = [x]
    a[0] += 1
    c, d = d0, _ = b[0], a
    return a, b, c, d is d0


def uses_globals(x):
    global COUNTED  # noqa: PLW0603
    for _ in range(x):
        COUNTED += 1
    return COUNTED


COUNTED = 0


class Base:
    def value(self, x):
        return x + 1 if x > 0 else -x


class Derived(Base):
    limit = 3

    def value(self, x):
        if x > self.limit:
            return super().value(x) * 10
        return super().value(x)

    def __call__(self, x):
        return [self.value(k) for k in range(x)]

    @classmethod
    def of(cls, x):
        return cls.limit if x else cls

    @staticmethod
    def plain(x):
        return x or None

    @property
    def doubled(self):
        return self.limit * 2


def uses_classes(x):
    made = Derived()
    made.limit = 2
    for _ in range(x):
        made.limit += 1
    return made.value(x), made(x), Derived.of(x), Derived.plain(x), made.doubled


def formats(x):
    text = f"{x:>5}|{x!r}|{'yes' if x else 'no'}"
    return text, text[1 if x else 0 :], text[::2], {x: 1}[x]


def indexes(x):
    a = np.arange(12).reshape(3, 4)
    table = {(1, 2): "pair", x: "one"}
    return a[x], a[x, 1:], a[..., x], a[x:, ::2], table[1, 2], table[x], "abc"[x]


def decorator(f):
    @functools.wraps(f)
    def wrapper(*args):
        if args[0] > 1:
            return "large", f(*args)
        return f(*args)

    return wrapper


@decorator
def decorated(x):
    return x * 2 if x else "zero"


CASES = [
    *[(jumps, (n,)) for n in (0, 1, 3, 6, 9)],
    *[(while_else, (n,)) for n in (0, 2, 9)],
    *[(short_circuits, (a, b)) for a in (0, 1, 2) for b in (0, 1, 2)],
    (defaults, (1,)),
    (defaults, (1, 5, 6, 7)),
    *[(raises, (x,)) for x in (-4, 0, 2)],
    (tries, (2,)),
    *[(returns_from_try, (x,)) for x in (0, 4)],
    *[(contexts, (x,)) for x in (0, 1)],
    (scopes, (5,)),
    *[(unbound, (x,)) for x in (0, 1)],
    *[(deletes, (x,)) for x in (0, 1)],
    (unpacks, ([(1, (2, 3)), (4, (5,))],)),
    *[(matches, (x,)) for x in ({"kind": 1}, [3, 1], [1, 3])],
    (walrus, ([1, 3, 5, 7],)),
    (uses_generator, (7,)),
    (annotated, (3,)),
    (keeps_lists, ([7],)),
    *[(asserts, (x,)) for x in (0, 1)],
    (chained_assignment, (3,)),
    (uses_classes, (4,)),
    *[(formats, (x,)) for x in (0, 12)],
    (indexes, (2,)),
    *[(decorated, (x,)) for x in (0, 1, 5)],
]


def outcome(f, args):
    """What a call gives, raises and does."""
    CALLS.clear()
    copies = [list(a) if isinstance(a, list) else a for a in args]
    try:
        result = f(*copies)
    except Exception as error:  # noqa: BLE001 - any
        result = (type(error), str(error).splitlines()[0])  # pytest adds lines to assertions
    return repr(result), list(CALLS), repr(copies)


@pytest.mark.parametrize(("f", "args"), CASES)
def test_plain_calls_do_the_same(f, args):
    made = convert(f)
    assert outcome(made, args) == outcome(f, args)


def test_most_functions_are_rewritten():
    alone = {f.__name__ for f, _ in CASES if convert(f) is f}
    assert alone <= {"contexts", "returns_from_try", "tries"}


def test_globals_are_those_of_the_module():
    before = COUNTED
    assert convert(uses_globals)(3) == before + 3 == COUNTED


def test_keyword_arguments_and_signature():
    made = convert(defaults)
    assert made(1, c=5, d=6) == defaults(1, c=5, d=6)
    assert inspect.signature(made) == inspect.signature(defaults)
    assert (made.__name__, made.__doc__, made.__module__) == ("defaults", None, __name__)


def test_the_original_is_left_alone():
    code = jumps.__code__
    convert(jumps)
    assert jumps.__code__ is code


def test_a_function_is_rewritten_once():
    assert convert(jumps).__code__ is convert(jumps).__code__
    assert convert(convert(jumps)).__code__ is convert(jumps).__code__


def test_tracebacks_show_the_lines_of_the_user():
    try:
        convert(raises)(7)
    except ValueError as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
    assert frame.filename == __file__
    assert frame.line == 'raise ValueError(f"{x} is too much")'
    assert frame.name == "raises"


def test_closures_share_their_cells():
    count = 0

    def step(x):
        nonlocal count
        if x > 0:
            count += 1
        return count

    assert convert(step)(1) == 1
    assert step(1) == 2
    assert convert(step)(0) == 2 == count


def test_lambdas_on_one_line():
    first, second = (lambda x: x if x > 0 else 0.0), (lambda x: x if x < 0 else 1.0)
    assert (sd.jit(first)(-2.0), sd.jit(second)(2.0)) == (0.0, 1.0)
    assert (sd.grad(first)(3.0), sd.grad(second)(-3.0)) == (1.0, 1.0)


def test_helpers_of_helpers_are_rewritten():
    def inner(x):
        return x if x > 0 else -x

    def outer(x, f):
        return f(x) * 2

    call = functools.partial(outer, f=inner)
    assert sd.grad(call)(-3.0) == -2.0
    assert sd.grad(Derived().value)(5.0) == 10.0
    assert sd.grad(lambda x: sum(map(inner, [x, 2 * x])))(-1.0) == -3.0


def test_as_written_is_left_alone():
    @sd.as_written
    def f(x):
        return x if x > 0 else -x

    assert convert(f) is f
    with pytest.raises(sd.TracingError, match="needs the value of"):
        sd.jit(f)(1.0)


def test_the_same_lines_in_two_files_are_two_functions(tmp_path):
    """Their code objects are equal, but not the same."""
    text = "def f(x):\n    def g(v):\n        return v if v > 0 else -v\n    return g(x) * 2\n"
    for name in ("a.py", "b.py", "c.py"):
        path = tmp_path / name
        path.write_text(text)
        scope = {}
        exec(compile(text, str(path), "exec"), scope)  # noqa: S102
        assert sd.jit(scope["f"])(-3.0) == 6.0
        del scope
        gc.collect()


def test_a_partial_that_is_called_by_a_traced_function_is_rewritten_too():
    def halved(x, until):
        while x > until:
            x = x / 2
        return x

    half = functools.partial(halved, until=1.0)
    assert sd.grad(lambda x: half(x) * 3)(20.0) == pytest.approx(3 / 32)
