"""Keep what a benchmark run measured, and make the README's table of it.

Commands::

    python -m pytest benchmarks --benchmark-json=run.json
    python benchmarks/report.py keep run.json benchmarks/results/NAME.json
    python benchmarks/report.py table benchmarks/results/NAME.json
"""

import json
import sys
from pathlib import Path


def keep(run):
    """Reduce pytest-benchmark's report to the machine and the times."""
    machine = run["machine_info"]
    return {
        "date": run["datetime"][:10],
        "machine": f"{machine['cpu']['brand_raw']}, {machine['cpu']['count']} cores",
        "python": machine["python_version"],
        "results": [
            {
                "group": b["group"],
                "name": b["name"].partition("[")[2].rstrip("]").partition("-")[0],
                "min_us": round(b["stats"]["min"] * 1e6, 4),
                "median_us": round(b["stats"]["median"] * 1e6, 4),
                **b["extra_info"],
            }
            for b in run["benchmarks"]
        ],
    }


def table(kept):
    """Write the median of each contestant, and how many times symdiff's it is, in Markdown."""
    groups = {}
    for result in kept["results"]:
        groups.setdefault(result["group"], {})[result["name"]] = result
    lines = ["| workload | symdiff | others, and how many times as long |", "|---|---|---|"]
    for group, contestants in sorted(groups.items()):
        ours = contestants.pop("symdiff", None)
        if ours is None:
            for name, result in contestants.items():
                first = f"first call {result['first_call_s']:.2f} s"
                operations = f"{result['operations']} operations"
                title = f"{group.partition(':')[0].replace(' N ', f' {name} ')}"
                lines.append(f"| {title} | {_time(result)} | {first}, {operations} in all |")
            continue
        others = ", ".join(
            f"{name} {_time(result)} ({result['median_us'] / ours['median_us']:.1f}x)"
            for name, result in sorted(contestants.items(), key=lambda c: c[1]["median_us"])
        )
        lines.append(f"| {group} | {_time(ours)} | {others} |")
    return "\n".join(lines)


def _time(result):
    return f"{result['median_us']:.3g} us"


def main(verb, source, target=None):
    """Run one of the commands above."""
    data = json.loads(Path(source).read_text(encoding="utf-8"))
    if verb == "keep":
        Path(target).write_text(json.dumps(keep(data), indent=1) + "\n", encoding="utf-8")
    else:
        print(table(data))


if __name__ == "__main__":
    main(*sys.argv[1:])
