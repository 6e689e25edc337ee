"""Put the newest results into the README's table.

``symdiff bench --json benchmarks/results/MACHINE-DATE.json`` measures them, and then::

    python benchmarks/report.py
"""

import json
import re
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
README = RESULTS.parents[1] / "README.md"
TABLE = re.compile(r"(?<=<!-- benchmark-table -->\n)(\|[^\n]*\n)+")


def newest(folder=RESULTS):
    """Give the file of the latest date."""
    dated = {path: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    return max(dated, key=lambda path: (dated[path]["date"], path.name))


def table(kept):
    """Write the medians in Markdown: symdiff's, the limit's, and the others', with the ratios."""
    cases = {}
    for result in kept["results"]:
        key = f"{result['workload']} {result['title']}: {result['case']}"
        cases.setdefault(key, []).append(result)
    lines = [
        "| workload | symdiff | first call | limit | others, and how many times as long |",
        "|---|---|---|---|---|",
    ]
    for title, results in cases.items():
        timed = [r for r in results if r["status"] == "ok"]
        ours = next((r for r in timed if r["contestant"] == "symdiff"), None)
        if ours is None:
            continue
        limit, others = (
            ", ".join(
                f"{r['contestant']} {_time(r['median_us'])} ({_ratio(r, ours)}x)"
                for r in sorted(timed, key=lambda r: r["median_us"])
                if r is not ours and r["limit"] == wanted
            )
            for wanted in (True, False)
        )
        late = [f"{r['contestant']} {r['reason']}" for r in results if r["status"] == "timeout"]
        others = ", ".join(filter(None, [others, *late]))
        lines.append(
            f"| {title} | {_time(ours['median_us'])} | {_first_call(ours)} | {limit} | {others} |"
        )
    return "\n".join(lines)


def _first_call(result):
    times = [result.get("first_s"), result.get("second_process_s")]
    text = ", then ".join(_time(t * 1e6) for t in times if t is not None)
    settled = result.get("settled_s", 0.0)
    is_later = settled > 1.2 * result.get("first_s", settled)
    return f"{text} (machine code {_time(settled * 1e6)})" if is_later else text


def _ratio(result, ours):
    ratio = result["median_us"] / ours["median_us"]
    return f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def _time(us):
    if us < 1e3:
        return f"{us:.3g} us"
    return f"{us / 1e3:.3g} ms" if us < 1e6 else f"{us / 1e6:.3g} s"


def main():
    """Rewrite the table in place."""
    path = newest()
    made = table(json.loads(path.read_text(encoding="utf-8"))) + "\n"
    text = README.read_text(encoding="utf-8")
    assert TABLE.search(text), f"{README} has no table after <!-- benchmark-table -->"
    README.write_text(TABLE.sub(lambda _: made, text), encoding="utf-8")
    print(f"{README}: the table of {path.name}")


if __name__ == "__main__":
    main()
